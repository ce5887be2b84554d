local counters = require("sluice.limit.counters")
local journal = require("sluice.ledger.journal")
local replay = require("sluice.limit.replay")
local scope = require("sluice.limit.scope")
local state_file = require("sluice.limit.state_file")
local window = require("sluice.limit.window")

local NOW = 1700000010
local SCOPE = scope.make_scope("tenant:acme", "tenant acme", "acme",
    { requests_per_minute = 10, tokens_per_day = 100000 }, { usd = 1, period = "day" })

local function fresh()
    local made = counters.new_counters()
    counters.read_counters(made, nil)
    counters.bring_up(made, SCOPE, NOW)
    return made
end

local function line(changes)
    local record = {
        id = "4f1c2a", time = NOW, tenant = "acme", key = "web", model = 'a","cost_nano_usd":999,"', pool = "gpu", endpoint = "http://a:1",
        attempts = 1, status = 200, ending = "finished", input_tokens = 12, cached_input_tokens = 4, output_tokens = 34,
        usage_from = "upstream", reserved_tokens = 100, cost_nano_usd = 5000, free_units = 9, first_token_ms = 87, duration_ms = 12, held_ms = 0,
    }
    for name, value in pairs(changes or {}) do
        if value == "nothing" then record[name] = nil else record[name] = value end
    end
    return (table.concat(journal.line_parts(record)):gsub("\n$", ""))
end

describe("the state of the limits", function()
    it("is written and read to the last digit", function()
        local made = fresh()
        counters.take(made, 7, 123, 0)
        made.spent, made.told = 9007199254740991, 0.8
        made.files[0], made.offsets[0], made.files[1], made.offsets[1] = 4503599627370496, 123456789012, 17, 1
        made.windows[0].previous = 1 / 3
        local text = state_file.state_text({ time = NOW + 0.125, file = 17, offset = 99 },
            { state_file.counters_line("tenant:acme", made, NOW + 0.5) })
        local lines, reason, head = state_file.state_lines(text)
        assert.is_nil(reason)
        assert.same({ time = NOW + 0.125, file = 17, offset = 99 }, head)
        local read = counters.new_counters()
        counters.read_counters(read, nil)
        local name, time = state_file.read_counters_line(read, lines[1])
        assert.same({ "tenant:acme", NOW + 0.5 }, { name, time })
        assert.equal(state_file.counters_line("tenant:acme", made, 0), state_file.counters_line("tenant:acme", read, 0))
    end)

    it("is refused if it is not whole, wherever it is cut", function()
        local text = state_file.state_text({ time = 1, file = 2, offset = 3 }, { state_file.counters_line("tenant:acme", fresh(), NOW) })
        assert.truthy((state_file.state_lines(text)))
        for length = 0, #text - 1 do
            assert.is_nil((state_file.state_lines(text:sub(1, length))), length)
        end
        assert.is_nil((state_file.state_lines(text .. "more\n")))
        assert.is_nil((state_file.state_lines((text:gsub("limits 1", "limits 2")))))
    end)

    it("passes over a line that is none", function()
        for _, broken in ipairs({ "", "tenant:acme", "tenant:acme 1 2", "tenant:acme 1 2 3 4 5 6 7 x", "tenant:acme 1 2 3 4 5 6 7 8 9" }) do
            local read = counters.new_counters()
            counters.read_counters(read, nil)
            assert.is_nil((state_file.read_counters_line(read, broken)), broken)
        end
    end)
end)

describe("a line of the journal", function()
    it("is read as it was written", function()
        local read = assert(replay.read_line(line()))
        assert.same({ "acme", "web", 46, 100, 5000 }, { read.tenant, read.key, read.tokens, read.reserved, read.nano_usd })
        assert.equal(9, read.free)
        assert.equal(NOW, read.time)
    end)

    it("counts for no limit if nothing was reserved", function()
        assert.is_nil(replay.read_line(line({ reserved_tokens = "nothing" })))
        assert.is_nil(replay.read_line(""))
        assert.is_nil(replay.read_line(line():sub(1, -210)))
        assert.is_nil(replay.read_line('{"x":1}'))
    end)

    it("has times of all centuries", function()
        for _, time in ipairs({ 0, 951782400, 951868799, 1078012800, 1709164800, 1735689599, 4102444800 }) do
            assert.equal(time, replay.seconds_of(os.date("!%Y-%m-%dT%H:%M:%S.000Z", time)))
        end
        assert.near(NOW + 0.123, replay.seconds_of("2023-11-14T22:13:30.123Z"), 1e-6)
        assert.is_nil(replay.seconds_of("yesterday"))
    end)

    it("counts as a request, its tokens and its money, at its time", function()
        local made = fresh()
        replay.replay(made, SCOPE, assert(replay.read_line(line())), NOW + 5)
        assert.same({ 1, 46, 5000 }, { made.windows[0].current, made.windows[1].current, made.spent })
        replay.replay(made, SCOPE, assert(replay.read_line(line({ time = NOW - 60 }))), NOW + 5)
        assert.same({ 1, 1, 92, 10000 }, { made.windows[0].current, made.windows[0].previous, made.windows[1].current, made.spent })
        replay.replay(made, SCOPE, assert(replay.read_line(line({ time = NOW - 86400 }))), NOW + 5)
        assert.same({ 1, 1, 92, 46, 10000 },
            { made.windows[0].current, made.windows[0].previous, made.windows[1].current, made.windows[1].previous, made.spent })
    end)

    it("only corrects what was reserved, if the request itself is known", function()
        local made = fresh()
        counters.take(made, 7, 100, 0)
        replay.complete(made, SCOPE, assert(replay.read_line(line())), NOW + 5)
        assert.same({ 1, 46, 5000 }, { made.windows[0].current, made.windows[1].current, made.spent })
        assert.equal(46, window.used(made.windows[1], NOW))
    end)
end)
