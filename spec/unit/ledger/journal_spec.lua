local cjson = require("cjson")
local journal = require("sluice.ledger.journal")

local timestamp = journal.timestamp
local function write_line(of) return table.concat(journal.line_parts(of)) end

local function record(changes)
    local made = {
        id = "4f1c2a", time = 1700000000.123, tenant = "acme", key = "web", model = "chat", pool = "gpu",
        endpoint = "http://10.0.0.11:8000", attempts = 1, status = 200, ending = "finished", input_tokens = 12,
        cached_input_tokens = 4, output_tokens = 34, usage_from = "upstream", first_token_ms = 87.4, duration_ms = 1234.5,
        held_ms = 41.5, guard = '{"name":"strict"}', reserved_tokens = 4108, cost_nano_usd = 123456789, free_units = 46,
        cache_write_tokens = 9, cache_write_1h_tokens = 7, reasoning_tokens = 21,
    }
    for name, value in pairs(changes or {}) do
        if value == "nothing" then made[name] = nil else made[name] = value end
    end
    return made
end

-- cjson takes U+007F and broken UTF-8 as they are, so the bytes are looked at too.
local function decode(line)
    assert.equal("\n", line:sub(-1))
    assert.is_nil(line:sub(1, -2):find("[%c]"))
    return cjson.decode(line)
end

describe("usage journal", function()
    it("writes exactly this", function()
        assert.equal('{"id":"4f1c2a","time":"2023-11-14T22:13:20.123Z","tenant":"acme","key":"web","model":"chat","pool":"gpu"'
            .. ',"endpoint":"http://10.0.0.11:8000","attempts":1,"status":200,"ending":"finished","input_tokens":12'
            .. ',"cached_input_tokens":4,"output_tokens":34,"usage_from":"upstream"'
            .. ',"reserved_tokens":4108,"cost_nano_usd":123456789,"free_units":46'
            .. ',"cache_write_tokens":9,"cache_write_1h_tokens":7,"reasoning_tokens":21'
            .. ',"first_token_ms":87,"duration_ms":1235'
            .. ',"held_ms":42,"timeout":null,"guard":{"name":"strict"}}\n',
            write_line(record()))
    end)

    it("has every field also where there is nothing to say", function()
        local line = decode(write_line(record({
            model = "nothing", pool = "nothing", endpoint = "nothing", usage_from = "nothing", first_token_ms = "nothing",
            reserved_tokens = "nothing", guard = "nothing", ending = "refused", status = 404, attempts = 0,
        })))
        for _, name in ipairs({ "model", "pool", "endpoint", "usage_from", "reserved_tokens", "first_token_ms", "guard" }) do
            assert.equal(cjson.null, line[name], name)
        end
        assert.equal("refused", line.ending)
        local fields = 0
        for _ in pairs(line) do fields = fields + 1 end
        assert.equal(25, fields)
    end)

    it("leaves nothing of one record in the next", function()
        local first = write_line(record())
        write_line(record({ id = "other", pool = "nothing", first_token_ms = "nothing", status = 500, tenant = "else" }))
        assert.equal(first, write_line(record()))
    end)

    it("escapes whatever is in a name or a key", function()
        local nasty = { 'a"b', "a\\b", "a\nb", "a\0b", "a\tb", "a\127b", "\27[31m", '"},{"', "", "你好", "né", "😀" }
        for _, text in ipairs(nasty) do
            for _, field in ipairs({ "key", "tenant", "model", "pool", "endpoint" }) do
                for _ = 1, 2 do
                    assert.equal(text, decode(write_line(record({ [field] = text })))[field])
                end
            end
        end
    end)

    it("writes U+FFFD for bytes that are no UTF-8, one for each", function()
        local broken = {
            ["\255"] = 1, ["\128"] = 1, ["\192\175"] = 2, ["\193\191"] = 2, ["\224\128\175"] = 3, ["\237\160\128"] = 3,
            ["\240\128\128\175"] = 4, ["\244\144\128\128"] = 4, ["\245\128\128\128"] = 4, ["\228\189"] = 2, ["\240\159\152"] = 3,
            ["\194"] = 1, ["\228\189a"] = 2, ["\240\159\152a"] = 3, ["\194a"] = 1,
        }
        for bytes, count in pairs(broken) do
            local line = write_line(record({ key = "<" .. bytes .. ">" }))
            local tail = bytes:match("a$") or ""
            assert.truthy(line:find('"<' .. ("\\ufffd"):rep(count) .. tail .. '>"', 1, true), line)
        end
    end)

    it("passes the first and the last character of each length", function()
        local edges = {
            "\194\128", "\223\191", "\224\160\128", "\237\159\191", "\238\128\128", "\239\191\191", "\240\144\128\128", "\244\143\191\191",
        }
        for _, text in ipairs(edges) do
            assert.truthy(write_line(record({ id = text })):find('"id":"' .. text .. '"', 1, true))
        end
    end)

    it("writes times in UTC with milliseconds, rounded", function()
        assert.equal("1970-01-01T00:00:00.000Z", timestamp(0))
        assert.equal("2023-11-14T22:13:20.000Z", timestamp(1700000000))
        assert.equal("2023-11-14T22:13:20.007Z", timestamp(1700000000.007))
        assert.equal("2023-11-14T22:13:20.999Z", timestamp(1700000000.9994))
        assert.equal("2023-11-14T22:13:21.000Z", timestamp(1700000000.9996))
        assert.equal("2023-11-14T22:13:20.500Z", timestamp(1700000000.5))
        assert.equal("2024-02-29T23:59:59.000Z", timestamp(1709251199))
        assert.equal("2100-01-01T00:00:00.000Z", timestamp(4102444800))
        for millisecond = 0, 999 do
            local text = ("2023-11-14T22:13:20.%03dZ"):format(millisecond)
            assert.equal(text, timestamp(1700000000 + millisecond / 1000))
        end
    end)

    it("writes whole numbers, large ones in full, and null for what is none", function()
        local line = write_line(record({
            input_tokens = 999999999999999, output_tokens = 4294967296, cached_input_tokens = 0 / 0,
            duration_ms = math.huge, first_token_ms = 0.4,
        }))
        assert.truthy(line:find('"input_tokens":999999999999999,"cached_input_tokens":null,"output_tokens":4294967296', 1, true), line)
        assert.truthy(line:find('"first_token_ms":0,"duration_ms":null,"held_ms":42,', 1, true), line)
        assert.truthy(write_line(record({ input_tokens = 123456789012345 })):find('"input_tokens":123456789012345,', 1, true))
        -- Odd ones too, where a double has no halves any more.
        for _, number in ipairs({ "4503599627370497", "9007199254740989", "9007199254740991" }) do
            assert.truthy(write_line(record({ cost_nano_usd = tonumber(number) })):find('"cost_nano_usd":' .. number .. ",", 1, true), number)
        end
    end)

    it("stays right when more names come than it keeps", function()
        for index = 1, 20100 do write_line(record({ endpoint = "http://endpoint-" .. index })) end
        assert.equal('a"late"name', decode(write_line(record({ endpoint = 'a"late"name' }))).endpoint)
        assert.equal("http://endpoint-1", decode(write_line(record({ endpoint = "http://endpoint-1" }))).endpoint)
    end)
end)
