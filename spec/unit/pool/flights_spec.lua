local flights = require("sluice.pool.flights")
local model = require("spec.unit.pool.worker_model")

local take, give, in_flight, sweep = flights.take, flights.give, flights.in_flight, flights.sweep

-- A worker that is not interrupted. `machine.processes` says who is alive.
local function worker(machine, process)
    machine.processes[process] = machine.processes[process] or { process = process }
    return flights.new_flights(machine.plain, process, machine.is_alive_now)
end

-- Runs what is given as a worker, and kills it before its operation of that number. Returns whether it came so far.
local function killed_at(machine, process, steps, body)
    local running = model.start(machine, process, function()
        body(flights.new_flights(machine.dictionary, process, machine.is_alive))
    end)
    local ended = model.run(running, steps)
    model.kill(machine, running)
    return not ended
end

-- What is left of requests, workers and locks.
local function traces(machine)
    local found = {}
    for name, value in pairs(machine.entries) do
        if name:find("^flights:own:") or name:find("^flights:lock:[^:]*$") or name == "flights:sweep"
            or name:find("^flights:sum:") and value ~= 0 then
            found[#found + 1] = name .. "=" .. value
        end
    end
    table.sort(found)
    return found
end

describe("requests under way", function()
    it("are counted over all workers", function()
        local machine = model.new()
        local first, second = worker(machine, 1), worker(machine, 2)
        for _, each in ipairs({ first, second, second }) do assert.is_true((take(each, "a", 0))) end
        assert.is_true((take(first, "b", 0)))
        for _, each in ipairs({ first, second, worker(machine, 3) }) do
            assert.same({ 3, 1, 0 }, { in_flight(each, "a"), in_flight(each, "b"), in_flight(each, "c") })
        end
        give(second, "a")
        give(first, "b")
        assert.same({ 2, 0 }, { in_flight(first, "a"), in_flight(second, "b") })
    end)

    it("are never more than the most, whichever worker asks; and nothing is counted for those that are refused", function()
        local machine = model.new()
        local first, second = worker(machine, 1), worker(machine, 2)
        assert.is_true((take(first, "a", 2)))
        assert.is_true((take(second, "a", 2)))
        for _ = 1, 3 do
            for _, each in ipairs({ first, second }) do
                assert.same({ false }, { take(each, "a", 2) })
            end
        end
        assert.equal(2, in_flight(first, "a"))
        give(first, "a")
        assert.is_true((take(second, "a", 2)))
        -- Another configuration may say otherwise.
        assert.is_false((take(second, "a", 1)))
        assert.is_true((take(second, "a", 3)))
        assert.is_true((take(second, "a", 0)))
    end)

    it("are never fewer than none, and another worker's are not given back", function()
        local machine = model.new()
        local first, second = worker(machine, 1), worker(machine, 2)
        give(first, "a")
        take(first, "a", 0)
        take(second, "a", 0)
        for _ = 1, 3 do give(first, "a") end
        assert.same({ 1, 1 }, { in_flight(first, "a"), in_flight(second, "a") })
        give(second, "a")
        give(second, "a")
        assert.equal(0, in_flight(first, "a"))
        take(first, "a", 0)
        assert.equal(1, in_flight(second, "a"))
    end)

    it("of the dead are removed by sweeping, and only theirs, also at endpoints that nobody else knows", function()
        local machine = model.new()
        local dead, alive, other = worker(machine, 1), worker(machine, 2), worker(machine, 3)
        for _ = 1, 3 do take(dead, "a", 0) end
        take(dead, "theirs alone", 0)
        take(alive, "a", 0)
        take(other, "a", 0)
        machine.processes[1] = nil
        assert.equal(5, in_flight(alive, "a"))
        sweep(alive)
        assert.same({ 2, 0 }, { in_flight(other, "a"), in_flight(other, "theirs alone") })
        sweep(other)
        assert.equal(2, in_flight(other, "a"))
        give(alive, "a")
        give(other, "a")
        machine.processes[2], machine.processes[3] = nil, nil
        sweep(worker(machine, 4))
        assert.same({}, traces(machine))
    end)

    it("of a dead worker are not those of a new one that has its process id", function()
        local machine = model.new()
        local dead, other = worker(machine, 1), worker(machine, 2)
        take(dead, "a", 0)
        take(dead, "a", 0)
        local new = worker(machine, 1)
        take(new, "a", 0)
        give(new, "a")
        give(new, "a")
        sweep(other)
        assert.equal(0, in_flight(other, "a"))
        take(new, "a", 0)
        sweep(other)
        assert.equal(1, in_flight(other, "a"))
    end)

    it("of an older generation stay while it is being drained, and count with those of the new one", function()
        local machine = model.new()
        local old = { worker(machine, 1), worker(machine, 2) }
        for _, each in ipairs(old) do take(each, "a", 4) end
        local new = { worker(machine, 3), worker(machine, 4) }
        for _, each in ipairs(new) do
            sweep(each)
            assert.is_true((take(each, "a", 4)))
        end
        assert.is_false((take(new[1], "a", 4)))
        for index, each in ipairs(old) do
            give(each, "a")
            machine.processes[index] = nil
            sweep(new[1])
            assert.equal(4 - index, in_flight(new[2], "a"))
        end
        give(new[1], "a")
        give(new[2], "a")
        assert.equal(0, in_flight(new[1], "a"))
    end)

    it("of a living worker that was taken for dead are counted again", function()
        local machine = model.new()
        local first, second = worker(machine, 1), worker(machine, 2)
        for _ = 1, 3 do take(first, "a", 0) end
        take(first, "b", 0)
        machine.processes[1] = nil
        sweep(second)
        machine.processes[1] = {}
        assert.equal(0, in_flight(second, "a"))
        assert.same({ false, "this worker was taken for dead" }, { take(first, "a", 0) })
        assert.is_true((take(first, "a", 0)))
        assert.equal(4, in_flight(second, "a"))
        sweep(first)
        assert.equal(1, in_flight(second, "b"))
        -- And once more, this time noticed by itself.
        machine.processes[1] = nil
        sweep(second)
        machine.processes[1] = {}
        sweep(first)
        assert.same({ 4, 1 }, { in_flight(second, "a"), in_flight(second, "b") })
        for _ = 1, 4 do give(first, "a") end
        give(first, "b")
        assert.same({ 0, 0 }, { in_flight(second, "a"), in_flight(second, "b") })
    end)
end)

describe("a worker that is killed", function()
    local function life(own)
        take(own, "a", 2)
        take(own, "a", 2)
        take(own, "b", 0)
        give(own, "a")
        sweep(own)
        give(own, "b")
    end

    it("between any two operations leaves nothing that sweeping does not remove", function()
        local steps, came = 0, true
        while came do
            local machine = model.new()
            came = killed_at(machine, 1, steps, life)
            local next_one = worker(machine, 2)
            sweep(next_one)
            assert.same({}, traces(machine))
            for _ = 1, 2 do assert.is_true((take(next_one, "a", 2))) end
            assert.is_false((take(next_one, "a", 2)))
            steps = steps + 1
        end
        assert.is_true(steps > 40)
    end)

    it("between any two operations stands in nobody's way before it is swept, nor when another has its process id", function()
        for _, process in ipairs({ 1, 2 }) do
            local steps, came = 0, true
            while came do
                local machine = model.new()
                came = killed_at(machine, 1, steps, life)
                local next_one = worker(machine, process)
                assert.is_true((take(next_one, "a", 3)))
                assert.is_true((take(next_one, "b", 0)))
                local before = in_flight(next_one, "a")
                assert.is_true(before >= 1 and before <= 3)
                sweep(next_one)
                assert.same({ 1, 1 }, { in_flight(next_one, "a"), in_flight(next_one, "b") })
                steps = steps + 1
            end
        end
    end)

    -- The first is killed at some operation, and the second, while it clears up after it. A third goes on.
    local function kill_two(go_on)
        local first_steps, first_came = 0, true
        while first_came do
            local second_steps, second_came = 0, true
            while second_came do
                local machine = model.new()
                local third = worker(machine, 3)
                take(third, "a", 0)
                first_came = killed_at(machine, 1, first_steps, life)
                second_came = killed_at(machine, 2, second_steps, function(own)
                    sweep(own)
                    take(own, "a", 2)
                end)
                go_on(third)
                assert.equal(1, in_flight(third, "a"))
                give(third, "a")
                machine.processes[3] = nil
                sweep(worker(machine, 4))
                assert.same({}, traces(machine))
                second_steps = second_steps + 1
            end
            first_steps = first_steps + 1
        end
    end

    it("while it clears up after another that was killed, leaves it to the next", function()
        kill_two(sweep)
    end)

    it("while it clears up after another leaves the sum to whoever has the lock next", function()
        kill_two(function(third)
            take(third, "a", 0)
            give(third, "a")
            sweep(third)
        end)
    end)
end)

describe("a dictionary that is full", function()
    it("counts nothing rather than something wrong, and says so", function()
        local full = "the dictionary is full"
        for room = 0, 30 do
            local machine = model.new(room + 1)
            machine.plain.add("filling", 1)
            local first, second = worker(machine, 1), worker(machine, 2)
            local taken = { a = 0, b = 0 }
            for _, each in ipairs({ first, second, first, second }) do
                for name in pairs(taken) do
                    local done, reason = take(each, name, 3)
                    if done then
                        taken[name] = taken[name] + 1
                    else
                        assert.is_true(reason == full or taken[name] == 3)
                    end
                end
            end
            for name, count in pairs(taken) do
                assert.equal(count, in_flight(first, name))
                for _, each in ipairs({ first, second, first, second }) do
                    give(each, name)
                end
            end
            -- There may have been no room for a lock then; now there is.
            machine.plain.remove("filling")
            sweep(first)
            sweep(second)
            assert.same({ 0, 0 }, { in_flight(first, "a"), in_flight(second, "b") })
            if room >= 16 then assert.same({ a = 3, b = 3 }, taken) end
        end
    end)

    it("makes the sum too large for a while, where a lock finds no room; never too small", function()
        local machine = model.new(11)
        local first, second = worker(machine, 1), worker(machine, 2)
        assert.is_true((take(first, "a", 3)))
        assert.is_true((take(first, "a", 3)))
        assert.is_true((take(second, "a", 3)))
        while machine.plain.add("filling" .. math.random(), 1) == nil do end
        give(first, "a")
        assert.equal(3, in_flight(second, "a"))
        assert.is_false((take(first, "a", 3)))
        for name in pairs(machine.entries) do
            if name:find("^filling") then machine.plain.remove(name) end
        end
        -- Who gave it back knows, the others do not yet.
        assert.same({ false }, { take(second, "a", 3) })
        sweep(first)
        assert.equal(2, in_flight(second, "a"))
        assert.is_true((take(second, "a", 3)))
        give(first, "a")
        give(second, "a")
        give(second, "a")
        assert.equal(0, in_flight(first, "a"))
    end)

    it("has a worker use at once what it could not give back before", function()
        local machine = model.new(10)
        local first = worker(machine, 1)
        assert.is_true((take(first, "a", 1)))
        while machine.plain.add("filling" .. math.random(), 1) == nil do end
        give(first, "a")
        for name in pairs(machine.entries) do
            if name:find("^filling") then machine.plain.remove(name) end
        end
        assert.is_true((take(first, "a", 1)))
        assert.equal(1, in_flight(first, "a"))
    end)
end)

describe("a lock that a living worker does not let go of", function()
    it("is not waited for without end", function()
        local machine = model.new()
        local first = worker(machine, 1)
        take(first, "a", 0)
        take(first, "a", 0)
        local stopped = model.start(machine, 2, function()
            take(flights.new_flights(machine.dictionary, 2, machine.is_alive), "a", 0)
        end)
        while not machine.entries["flights:lock:1"] do model.step(stopped) end
        assert.same({ false, "another worker does not let go of the endpoint's lock" }, { take(first, "a", 0) })
        give(first, "a")
        assert.equal(2, in_flight(first, "a"))
        model.run(stopped)
        assert.equal(3, in_flight(first, "a"))
        sweep(first)
        assert.equal(2, in_flight(first, "a"))
    end)
end)

describe("many workers that interrupt each other, with some killed", function()
    local MOST = { first = 1, second = 3, third = 0 }
    local NAMES = { "first", "second", "third" }

    -- What a worker does all day. `running.held` is what it really has under way.
    local function body(machine, running)
        local own = flights.new_flights(machine.dictionary, running.process, machine.is_alive)
        running.own = own
        while not machine.quitting do
            local name = NAMES[math.random(3)]
            local action = math.random(8)
            if action <= 4 then
                if take(own, name, MOST[name]) then running.held[name] = running.held[name] + 1 end
            elseif action <= 7 then
                if running.held[name] > 0 then
                    running.held[name] = running.held[name] - 1
                    give(own, name)
                end
            else
                sweep(own)
            end
        end
    end

    local function start(machine)
        -- Few process ids, so that they are used again soon.
        local process
        repeat process = math.random(7) until not machine.processes[process]
        local running = model.start(machine, process, function(running) body(machine, running) end)
        running.held = { first = 0, second = 0, third = 0 }
    end

    local function total(machine, name)
        local sum = 0
        for _, running in ipairs(machine.workers) do sum = sum + running.held[name] end
        return sum
    end

    -- Lets all go on in turns, some of them killed with that chance, until that many steps are done or all have ended.
    local function go(machine, steps, deaths)
        while steps > 0 do
            steps = steps - 1
            local running = machine.workers[math.random(#machine.workers)]
            -- Several operations at a time now and then: then more happens between two of another's.
            model.run(running, math.random(4) == 1 and math.random(40) or 1)
            for _, name in ipairs(NAMES) do
                if MOST[name] > 0 and total(machine, name) > MOST[name] then error("too many at " .. name) end
            end
            local busy = false
            for _, each in ipairs(machine.workers) do busy = busy or coroutine.status(each.coroutine) ~= "dead" end
            if not busy then return end
            if deaths > 0 and math.random(deaths) == 1 then
                model.kill(machine, running)
                start(machine)
            end
        end
        return true
    end

    -- Runs as a worker, by itself.
    local function alone(machine, process, action)
        local result
        local running = model.start(machine, process, function()
            result = action(flights.new_flights(machine.dictionary, process, machine.is_alive))
        end)
        assert.is_true(model.run(running))
        model.kill(machine, running)
        return result
    end

    it("never have more than the most under way, and have the right sums once it is swept", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("flights: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        local peaks = { first = 0, second = 0, third = 0 }
        for round = 1, 60 do
            local machine = model.new()
            for _ = 1, 4 do start(machine) end
            for _ = 1, 4 do
                machine.quitting = false
                for _, running in ipairs(machine.workers) do
                    if coroutine.status(running.coroutine) == "dead" then
                        local own = running.own
                        running.coroutine = coroutine.create(function()
                            while not machine.quitting do
                                local name = NAMES[math.random(3)]
                                if take(own, name, MOST[name]) then running.held[name] = running.held[name] + 1 end
                            end
                        end)
                    end
                end
                go(machine, 1000, round % 3 == 0 and 0 or 40)
                -- All come to the end of what they are at, and stay.
                machine.quitting = true
                assert.is_nil(go(machine, 1000000, 0))
                local sums = alone(machine, 8, function(own)
                    sweep(own)
                    return { first = in_flight(own, "first"), second = in_flight(own, "second"), third = in_flight(own, "third") }
                end)
                for _, name in ipairs(NAMES) do
                    assert.equal(total(machine, name), sums[name])
                    peaks[name] = math.max(peaks[name], sums[name])
                end
            end
            -- Half of them give everything back, the others are killed.
            for index = #machine.workers, 1, -1 do
                local running = machine.workers[index]
                if index % 2 == 0 then
                    running.coroutine = coroutine.create(function()
                        for _, name in ipairs(NAMES) do
                            for _ = 1, running.held[name] do give(running.own, name) end
                        end
                    end)
                    assert.is_true(model.run(running))
                end
                model.kill(machine, running)
            end
            alone(machine, 8, sweep)
            -- The one that has just swept is all that is left on the list, but for one swept in its turn.
            alone(machine, 9, sweep)
            assert.same({}, traces(machine))
        end
        assert.same({ 1, 3 }, { peaks.first, peaks.second })
        assert.is_true(peaks.third > 3)
    end)
end)
