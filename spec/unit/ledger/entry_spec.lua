local entry = require("sluice.ledger.entry")
local instant = require("sluice.ledger.instant")
local journal = require("sluice.ledger.journal")

local reader = entry.new_entry_reader()
local function read(line) return entry.read_entry(reader, line) end

local LEAST = '"id":"a","time":"2026-11-21T10:00:00.123Z","tenant":"acme","ending":"finished"'
local function with(fields) return "{" .. LEAST .. "," .. fields .. "}" end

describe("ledger entry", function()
    it("reads what the journal writes", function()
        local line = table.concat(journal.line_parts({
            id = "4f1c2a", time = 1700000000.123, tenant = "a\"c,\n=me 脏", key = "web", model = "chat", pool = "gpu",
            endpoint = "http://10.0.0.11:8000", attempts = 1, status = 200, ending = "finished", input_tokens = 12,
            cached_input_tokens = 4, output_tokens = 34, usage_from = "upstream", first_token_ms = 87.4, duration_ms = 1234.5,
            cache_write_tokens = 9, cache_write_1h_tokens = 7, held_ms = 41.5, timeout = "total", guard = '{"name":"strict"}',
        }))
        local read_back = assert(read(line:sub(1, -2)))
        assert.same({
            id = "4f1c2a", time = "2023-11-14T22:13:20.123Z", tenant = "a\"c,\n=me 脏", key = "web", model = "chat", pool = "gpu",
            endpoint = "http://10.0.0.11:8000", attempts = "1", status = "200", ending = "finished", input_tokens = "12",
            cached_input_tokens = "4", output_tokens = "34", usage_from = "upstream", first_token_ms = "87", duration_ms = "1235",
            held_ms = "42", timeout = "total", guard = '{"name":"strict"}', reserved_tokens = read_back.reserved_tokens, cost_nano_usd = "0",
            free_units = "0", cache_write_tokens = "9", cache_write_1h_tokens = "7", reasoning_tokens = "0",
        }, read_back)
    end)

    it("takes fields in any order, unknown ones, and lines that have few", function()
        local found = assert(read('{"new":[{"id":1}],"ending":"cached","tenant":"t","time":"2026-11-21T10:00:00Z","id":"x"}'))
        assert.same({ "x", "t", "cached", "2026-11-21T10:00:00.000Z" }, { found.id, found.tenant, found.ending, found.time })
        assert.same({ "0", "0", "0", "0" }, { found.input_tokens, found.cached_input_tokens, found.output_tokens, found.cost_nano_usd })
        assert.is_nil(found.model)
        assert.equal("0", assert(read(with('"cost_nano_usd":null'))).cost_nano_usd)
        assert.is_nil(assert(read(with('"reserved_tokens":null'))).reserved_tokens)
        assert.equal("7", assert(read(with('"reserved_tokens":7'))).reserved_tokens)
    end)

    it("keeps 64-bit costs exact, whatever else has that name", function()
        for _, digits in ipairs({ "0", "9007199254740993", "9223372036854775807", "999999999999999999" }) do
            local line = with('"guard":{"cost_nano_usd":5},"cost\\u005fnano_usd":' .. digits .. ',"key":"\\"cost_nano_usd\\":7"')
            assert.equal(digits, assert(read(line)).cost_nano_usd)
        end
    end)

    it("refuses what is no whole number that a database can keep", function()
        for _, value in ipairs({ "9223372036854775808", "10000000000000000000", "-1", "1.5", "1e3", '"1"', "true", "[]", "{}" }) do
            local found, reason = read(with('"cost_nano_usd":' .. value))
            assert.is_nil(found, value)
            assert.equal("cost_nano_usd is not a whole number from 0 to 9223372036854775807", reason)
        end
    end)

    it("decodes every escape", function()
        local found = assert(read('{"id":"\\u0061\\/","time":"2026-11-21T10:00:00\\u002e5Z"'
            .. ',"tenant":"\\ud83d\\ude00\\n\\\\u0000","ending":"finished"}'))
        assert.same({ "a/", "2026-11-21T10:00:00.500Z", "😀\n\\u0000" }, { found.id, found.time, found.tenant })
    end)

    it("replaces U+0000, which PostgreSQL's texts can't have", function()
        assert.equal("a\239\191\189b", assert(read(with('"key":"a\\u0000b"'))).key)
    end)

    local broken = {
        ["nothing"] = { "", "ends too early (byte 1)" },
        ["half a line"] = { '{"id":"a","ten', "ends too early (byte 15)" },
        ["no JSON"] = { "{" .. LEAST .. ",}", "is not JSON" },
        ["what is not UTF-8"] = { with('"key":"\255"'), "is not UTF-8" },
        ["a lone surrogate"] = { with('"key":"\\ud800"'), "lone surrogate" },
        ["a field twice"] = { with('"id":"b"'), "same key twice" },
        ["an array"] = { "[{" .. LEAST .. "}]", "is not an object" },
        ["a number"] = { "12", "is not an object" },
        ["no id"] = { '{"time":"2026-11-21T10:00:00Z","tenant":"t","ending":"x"}', "id is missing" },
        ["an empty id"] = { '{"id":"","time":"2026-11-21T10:00:00Z","tenant":"t","ending":"x"}', "id has not between 1 and 256 bytes" },
        ["a long id"] = { '{"id":"' .. ("x"):rep(257) .. '","time":"2026-11-21T10:00:00Z","tenant":"t","ending":"x"}', "id has not" },
        ["no tenant"] = { '{"id":"a","time":"2026-11-21T10:00:00Z","tenant":null,"ending":"x"}', "tenant is missing" },
        ["no ending"] = { '{"id":"a","time":"2026-11-21T10:00:00Z","tenant":"t"}', "ending is missing" },
        ["a tenant that is a number"] = { '{"id":"a","time":"2026-11-21T10:00:00Z","tenant":5,"ending":"x"}', "tenant is not a string" },
        ["a wrong time"] = { '{"id":"a","time":"2026-02-30T10:00:00Z","tenant":"t","ending":"x"}', "time is not a time in UTC" },
        ["a time that is a number"] = { '{"id":"a","time":5,"tenant":"t","ending":"x"}', "time is not a string" },
    }
    for what, case in pairs(broken) do
        it("says why it is none: " .. what, function()
            local found, reason = read(case[1])
            assert.is_nil(found)
            assert.is_truthy(reason:find(case[2], 1, true), reason)
        end)
    end

    it("leaves nothing of one line in the next", function()
        read(with('"model":"m","cost_nano_usd":5'))
        local found = assert(read("{" .. LEAST .. "}"))
        assert.same({ nil, "0" }, { found.model, found.cost_nano_usd })
        read('{"id":"half","model":"m')
        assert.is_nil(assert(read("{" .. LEAST .. "}")).model)
    end)

    it("finds the whole line behind a broken one", function()
        local line = "{" .. LEAST .. "}"
        assert.equal("a", entry.rescue(reader, '{"id":"b","time":"2026' .. line).id)
        assert.equal("a", entry.rescue(reader, '{"id":"b"{"id":"c","time' .. line).id)
        assert.is_nil(entry.rescue(reader, line:sub(1, -2)))
        assert.is_nil(entry.rescue(reader, '{"id":"b",' .. line .. "x"))
        -- Text that looks like a line has its quotes escaped.
        assert.is_nil(entry.rescue(reader, '{"id":"b","tenant":"{\\"id\\":\\"a\\"}'))
    end)

    it("makes a row that is JSON, in the order of the columns", function()
        local found = assert(read(with('"key":"q\\"\\u007f\\n","cost_nano_usd":9223372036854775807,"guard":{"name":"\\u0000"}')))
        assert.equal('["a","2026-11-21T10:00:00.123Z","acme","q\\u0022\\u007f\\u000a",null,null,null,null,null,"finished",0,0,0,null,null,'
            .. '9223372036854775807,0,0,0,0,null,null,null,null,"{\\u0022name\\u0022:\\u0022\\u005cu0000\\u0022}"]', entry.row_of(found))
    end)
end)

describe("ledger times", function()
    it("are right in every month and leap year", function()
        local lengths = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
        for _, year in ipairs({ 1970, 1999, 2000, 2023, 2024, 2100, 9999 }) do
            for month = 0, 13 do
                for day = 0, 32 do
                    local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
                    local last = lengths[month] and (month == 2 and leap and 29 or lengths[month]) or 0
                    local text = ("%04d-%02d-%02dT00:00:00Z"):format(year, month, day)
                    assert.equal(day >= 1 and day <= last, instant.read_instant(text) ~= nil, text)
                end
            end
        end
    end)

    it("are refused in any other form", function()
        for _, text in ipairs({
            "", "2026-11-21", "2026-11-21T10:00:00", "2026-11-21T24:00:00Z", "2026-11-21T10:60:00Z", "2026-11-21T10:00:60Z",
            "1969-12-31T00:00:00Z", "2026-11-21T10:00:00+00:00", "2026-11-21t10:00:00z", "2026-11-21T10:00:00.Z", "2026-11-21T10:00:005Z",
            " 2026-11-21T10:00:00Z", "12026-11-21T10:00:00Z",
        }) do
            assert.is_nil(instant.read_instant(text), text)
        end
    end)

    it("may be written shorter on a command line", function()
        assert.equal("2026-11-21T00:00:00.000Z", instant.read_moment("2026-11-21"))
        for _, text in ipairs({ "2026-11-21T10:30", "2026-11-21 10:30", "2026-11-21T10:30Z", "2026-11-21T10:30:00Z", "2026-11-21 10:30:00.0004Z" }) do
            assert.equal("2026-11-21T10:30:00.000Z", instant.read_moment(text), text)
        end
        for _, text in ipairs({
            "", "yesterday", "2026-13-01", "2026-11-21T", "2026-11-21T10", "2026-11-21T10:30:00+02:00", "2026-11-21T10:30:5", "2026-11-21x",
        }) do
            assert.is_nil(instant.read_moment(text), text)
        end
    end)
end)
