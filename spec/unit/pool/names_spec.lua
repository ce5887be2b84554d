local names_module = require("sluice.pool.names")

local function nothing() return nil end

-- The way of a request: what is known, else a lookup of its own. `now` is the time before and after the lookup.
local function address_of(names, host, now, resolve)
    local address, reason = names_module.known_address(names, host, nothing, now)
    if address ~= nil or not names_module.needs_lookup(names, host, now) then
        return address, reason
    end
    names_module.look_up_name(names, host, function() return now end, resolve)
    return names_module.known_address(names, host, nothing, now)
end

-- The way of a timer: looks up what is due, and takes what is known then.
local function tended(names, host, now, resolve)
    names_module.known_address(names, host, nothing, now)
    for _, due in ipairs(names_module.due_names(names, now)) do
        names_module.look_up_name(names, due, function() return now end, resolve)
    end
    return (names_module.known_address(names, host, nothing, now))
end

-- A resolver that answers from a list, in order, and counts how often it was asked.
local function resolver(...)
    local answers, asked = { ... }, { count = 0, names = {} }
    return function(name)
        asked.count = asked.count + 1
        asked.names[asked.count] = name
        local answer = answers[asked.count] or answers[#answers]
        return answer.addresses, answer.seconds or 0, answer.reason
    end, asked
end

local function never()
    error("looked up")
end

describe("a host that is an address", function()
    for host, written in pairs({
        ["10.0.0.1"] = "10.0.0.1", ["127.0.0.1"] = "127.0.0.1", ["::1"] = "[::1]", ["2001:db8::1"] = "[2001:db8::1]",
        ["::ffff:1.2.3.4"] = "[::ffff:1.2.3.4]",
    }) do
        it("is used as it is: " .. host, function()
            assert.is_true(names_module.is_address(host))
            local names = names_module.new_names()
            for _, now in ipairs({ 0, 1, 1e9 }) do
                assert.equal(written, address_of(names, host, now, never))
            end
        end)
    end

    it("is told from a name", function()
        for _, host in ipairs({ "localhost", "gpu-1", "1.example.com", "10.0.0", "10.0.0.1.example", "a.1.2.3.4", "10.0.0.1x", "" }) do
            assert.is_false(names_module.is_address(host), host)
        end
    end)
end)

describe("a name", function()
    it("is looked up when it is first needed, and again when its records have expired", function()
        local names = names_module.new_names()
        local resolve, asked = resolver({ addresses = { "1.1.1.1" }, seconds = 30 }, { addresses = { "2.2.2.2" }, seconds = 30 })
        assert.equal("1.1.1.1", tended(names, "gpu", 100, resolve))
        assert.equal("1.1.1.1", tended(names, "gpu", 127.9, resolve))
        assert.equal(1, asked.count)
        -- A little before they expire.
        assert.equal("2.2.2.2", tended(names, "gpu", 128, resolve))
        assert.same({ "gpu", "gpu" }, asked.names)
    end)

    it("is trusted for at least a second and at most an hour", function()
        for _, case in ipairs({ { 0, 1 }, { -5, 1 }, { 0.5, 1 }, { 1, 1 }, { 2, 2 }, { 3600, 3600 }, { 86400, 3600 }, { math.huge, 3600 } }) do
            local names = names_module.new_names()
            local resolve, asked = resolver({ addresses = { "1.1.1.1" }, seconds = case[1] })
            address_of(names, "gpu", 1000, resolve)
            tended(names, "gpu", 1000 + math.max(0, case[2] - 2.01), resolve)
            assert.equal(case[2] > 2 and 1 or 2, asked.count, case[1])
            asked.count = 1
            tended(names, "gpu", 1000 + case[2] - 2, resolve)
            assert.equal(2, asked.count, case[1])
        end
    end)

    it("is served by its last good addresses while the lookup fails", function()
        local names = names_module.new_names()
        local resolve, asked = resolver({ addresses = { "1.1.1.1", "2.2.2.2" }, seconds = 10 }, { reason = "timeout" }, { addresses = {} },
            { addresses = { "3.3.3.3" }, seconds = 10 })
        assert.equal("1.1.1.1", tended(names, "gpu", 0, resolve))
        -- A request doesn't wait for a name server that fails.
        assert.equal("2.2.2.2", address_of(names, "gpu", 20, never))
        assert.equal("2.2.2.2", tended(names, "gpu", 20, resolve))
        assert.equal("1.1.1.1", address_of(names, "gpu", 20, never))
        assert.equal(2, asked.count)
        assert.equal("1.1.1.1", tended(names, "gpu", 30, resolve))
        assert.equal(3, asked.count)
        assert.equal("3.3.3.3", tended(names, "gpu", 40, resolve))
    end)

    it("that has never been found has no address, and why is told", function()
        local names = names_module.new_names()
        local resolve, asked = resolver({ reason = "no such name" })
        assert.same({ n = 2, nil, "no address is known of gpu: no such name" }, { n = 2, address_of(names, "gpu", 0, resolve) })
        -- A second later it is asked for again, not with every request.
        local address, reason = address_of(names, "gpu", 0.5, resolve)
        assert.is_nil(address)
        assert.is_string(reason)
        assert.equal(1, asked.count)
        address_of(names, "gpu", 1, resolve)
        assert.equal(2, asked.count)
    end)

    it("without addresses has none", function()
        local resolve = resolver({ addresses = {}, seconds = 10 })
        local address, reason = address_of(names_module.new_names(), "gpu", 0, resolve)
        assert.is_nil(address)
        assert.equal("no address is known of gpu: no address", reason)
    end)

    it("is found after it was not", function()
        local names = names_module.new_names()
        local resolve = resolver({ reason = "no such name" }, { addresses = { "1.1.1.1" }, seconds = 5 })
        assert.is_nil((address_of(names, "gpu", 0, resolve)))
        assert.equal("1.1.1.1", address_of(names, "gpu", 2, resolve))
    end)

    it("has its addresses take turns", function()
        local names = names_module.new_names()
        local resolve = resolver({ addresses = { "1.1.1.1", "2.2.2.2", "[::3]" }, seconds = 60 })
        local order = {}
        for index = 1, 7 do
            order[index] = address_of(names, "gpu", index, resolve)
        end
        assert.equal("1.1.1.1 2.2.2.2 [::3] 1.1.1.1 2.2.2.2 [::3] 1.1.1.1", table.concat(order, " "))
    end)

    it("with fewer addresses than before goes on with the ones it has", function()
        local names = names_module.new_names()
        local resolve = resolver({ addresses = { "1.1.1.1", "2.2.2.2", "3.3.3.3" }, seconds = 10 }, { addresses = { "4.4.4.4" }, seconds = 10 })
        address_of(names, "gpu", 0, resolve)
        address_of(names, "gpu", 1, resolve)
        for second = 10, 15 do
            assert.equal("4.4.4.4", tended(names, "gpu", second, resolve))
        end
    end)

    it("does not share addresses with another", function()
        local names = names_module.new_names()
        assert.equal("1.1.1.1", address_of(names, "one", 0, resolver({ addresses = { "1.1.1.1" }, seconds = 60 })))
        assert.equal("2.2.2.2", address_of(names, "two", 0, resolver({ addresses = { "2.2.2.2" }, seconds = 60 })))
        assert.equal("1.1.1.1", address_of(names, "one", 1, never))
    end)

    it("is trusted from when the lookup came back, not from when it began", function()
        local names = names_module.new_names()
        local now = 100
        local function slow()
            now = now + 6
            return nil, 0, "timeout"
        end
        names_module.look_up_name(names, "gpu", function() return now end, slow)
        -- The next one who needs it is told at once.
        assert.is_false(names_module.needs_lookup(names, "gpu", 106))
        assert.is_true(names_module.needs_lookup(names, "gpu", 107))
    end)

    it("is looked up by each who needs it while there is no address yet", function()
        local names = names_module.new_names()
        local function waiting()
            coroutine.yield()
            return { "2.2.2.2" }, 10
        end
        local first = coroutine.create(function() return (address_of(names, "gpu", 0, waiting)) end)
        assert(coroutine.resume(first))
        assert.equal("1.1.1.1", address_of(names, "gpu", 0, resolver({ addresses = { "1.1.1.1" }, seconds = 10 })))
        local _, address = coroutine.resume(first)
        assert.equal("2.2.2.2", address)
    end)

    it("leaves an address out at which nobody was reached, for a while, unless there is no other", function()
        local names = names_module.new_names()
        local resolve = resolver({ addresses = { "1.1.1.1", "2.2.2.2", "3.3.3.3" }, seconds = 600 })
        assert.equal("1.1.1.1", address_of(names, "gpu", 0, resolve))
        assert.is_true(names_module.rest_address(names, "gpu", "1.1.1.1", 0))
        local order = {}
        for index = 1, 4 do
            order[index] = address_of(names, "gpu", 1, never)
        end
        assert.equal("2.2.2.2 3.3.3.3 2.2.2.2 3.3.3.3", table.concat(order, " "))
        assert.is_true(names_module.rest_address(names, "gpu", "2.2.2.2", 2))
        assert.is_false(names_module.rest_address(names, "gpu", "3.3.3.3", 2))
        local seen = {}
        for _ = 1, 3 do
            seen[address_of(names, "gpu", 3, never)] = true
        end
        assert.same({ ["1.1.1.1"] = true, ["2.2.2.2"] = true, ["3.3.3.3"] = true }, seen)
        assert.equal("1.1.1.1", address_of(names, "gpu", 11, never))
        assert.equal("1.1.1.1", address_of(names, "gpu", 11, never))
    end)

    it("with one address never leaves it out, nor does one that nobody knows", function()
        local names = names_module.new_names()
        address_of(names, "gpu", 0, resolver({ addresses = { "1.1.1.1" }, seconds = 600 }))
        assert.is_false(names_module.rest_address(names, "gpu", "1.1.1.1", 0))
        assert.is_false(names_module.rest_address(names, "other", "1.1.1.1", 0))
        assert.equal("1.1.1.1", address_of(names, "gpu", 1, never))
    end)

    it("is forgotten when it is not wanted any more", function()
        local names = names_module.new_names()
        for _, host in ipairs({ "one", "two", "10.0.0.1" }) do
            names_module.known_address(names, host, nothing, 0)
        end
        names_module.keep_names(names, { two = true })
        assert.same({ "two" }, names_module.due_names(names, 0))
    end)
end)

describe("a name whose address must not be waited for", function()
    local due_names = names_module.due_names

    local function known_address(names, host, recall)
        return names_module.known_address(names, host, recall, 0)
    end

    local function look_up_name(names, host, now, resolve)
        return names_module.look_up_name(names, host, function() return now end, resolve)
    end

    it("has none until a timer has looked it up, and says so at once", function()
        local names = names_module.new_names()
        local address, reason = known_address(names, "redis", nothing)
        assert.is_nil(address)
        assert.equal("no address is known of redis: it has not been looked up yet", reason)
        assert.same({ "redis" }, due_names(names, 0))
        assert.same({ n = 3, nil, "timeout", true }, { n = 3, look_up_name(names, "redis", 0, resolver({ reason = "timeout" })) })
        assert.equal("no address is known of redis: timeout", (select(2, known_address(names, "redis", nothing))))
        -- Told once, until it succeeds.
        assert.is_false((select(3, look_up_name(names, "redis", 1, resolver({ reason = "timeout" })))))
        assert.same({ "1.1.1.1" }, (look_up_name(names, "redis", 2, resolver({ addresses = { "1.1.1.1" }, seconds = 10 }))))
        assert.equal("1.1.1.1", known_address(names, "redis", nothing))
        assert.is_true((select(3, look_up_name(names, "redis", 20, resolver({ reason = "timeout" })))))
    end)

    it("has those that somebody knew, and is looked up all the same", function()
        local names = names_module.new_names()
        local asked = {}
        local function recall(host)
            asked[#asked + 1] = host
            return { "1.1.1.1", "2.2.2.2" }
        end
        assert.equal("1.1.1.1", known_address(names, "redis", recall))
        assert.equal("2.2.2.2", known_address(names, "redis", recall))
        assert.same({ "redis" }, asked)
        assert.same({ "redis" }, due_names(names, 0))
    end)

    it("is due before its records expire, and keeps its addresses for as long as nothing newer is known", function()
        local names = names_module.new_names()
        known_address(names, "redis", nothing)
        look_up_name(names, "redis", 100, resolver({ addresses = { "1.1.1.1" }, seconds = 30 }))
        assert.same({}, due_names(names, 127.9))
        assert.same({ "redis" }, due_names(names, 128))
        look_up_name(names, "redis", 128, resolver({ reason = "timeout" }))
        assert.equal("1.1.1.1", known_address(names, "redis", nothing))
        assert.same({ "redis" }, due_names(names, 1e6))
        assert.equal("1.1.1.1", known_address(names, "redis", nothing))
        look_up_name(names, "redis", 1e6, resolver({ addresses = { "2.2.2.2" }, seconds = 30 }))
        assert.equal("2.2.2.2", known_address(names, "redis", nothing))
        assert.same({}, due_names(names, 1e6))
    end)

    it("has its turn, however many others are always due", function()
        local names = names_module.new_names()
        local last = {}
        for number = 1, 200 do known_address(names, "host" .. number, nothing) end
        -- Fifty a second, of which none may be used for longer than a moment.
        for now = 1, 12 do
            local due = due_names(names, now)
            for place = 1, math.min(50, #due) do
                look_up_name(names, due[place], now, resolver({ addresses = { "1.1.1.1" }, seconds = 0 }))
                last[due[place]] = now
            end
        end
        for number = 1, 200 do assert.is_true((last["host" .. number] or 0) >= 9, number) end
    end)

    it("is looked up once at a time, and again if a lookup never came back", function()
        local names = names_module.new_names()
        known_address(names, "redis", nothing)
        local waiting = coroutine.create(function() look_up_name(names, "redis", 100, function() coroutine.yield() end) end)
        assert(coroutine.resume(waiting))
        assert.same({}, due_names(names, 101))
        assert.same({}, due_names(names, 110))
        assert.same({ "redis" }, due_names(names, 110.1))
    end)

    it("that is an address is never due", function()
        local names = names_module.new_names()
        assert.equal("10.0.0.1", known_address(names, "10.0.0.1", never))
        assert.equal("[::1]", known_address(names, "::1", never))
        assert.same({}, due_names(names, 1e9))
    end)
end)
