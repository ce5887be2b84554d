local lock = require("sluice.pool.lock")
local model = require("spec.unit.pool.worker_model")
local workers = require("sluice.pool.workers")

local HELD, TAKEN_OVER, BUSY, NO_ROOM = 0, 1, 2, 3

-- A worker that has joined, and can be interrupted.
local function new_worker(machine, process)
    local worker = { dictionary = machine.plain, process = process, is_alive = machine.is_alive_now, number = 0 }
    assert(workers.join_workers(worker))
    worker.dictionary, worker.is_alive = machine.dictionary, machine.is_alive
    return worker
end

-- Starts one that asks for a lock, notes what comes of it in `hold`, and keeps it.
local function asking(machine, process, ask)
    return model.start(machine, process, function(running)
        running.hold = (ask or lock.lock)(new_worker(machine, process), "name")
    end)
end

describe("a lock between workers", function()
    it("is had by one, and then by the next", function()
        local machine = model.new()
        local order = {}
        local function body(running)
            local worker = new_worker(machine, running.process)
            assert.equal(HELD, lock.lock(worker, "name"))
            order[#order + 1] = running.process
            coroutine.yield()
            lock.unlock(worker, "name")
        end
        local first, second = model.start(machine, 1, body), model.start(machine, 2, body)
        model.run(first, 2)
        model.run(second, 50)
        assert.same({ 1 }, order)
        model.run(first)
        model.run(second)
        assert.same({ 1, 2 }, order)
        assert.is_nil(machine.entries.name)
    end)

    it("is not waited for without end, when its holder lives and does not let go", function()
        local machine = model.new()
        model.run(asking(machine, 1))
        local second = asking(machine, 2)
        assert.is_true(model.run(second))
        assert.equal(BUSY, second.hold)
        assert.equal(1, machine.entries.name)
    end)

    it("is not waited for at all by who only tries", function()
        local machine = model.new()
        model.run(asking(machine, 1))
        local second = asking(machine, 2, lock.try_lock)
        assert.is_true(model.run(second, 20))
        assert.equal(BUSY, second.hold)
    end)

    it("is taken over from the dead, by one alone, however they are interrupted", function()
        -- Two want it; the first is stopped after so many operations, goes on when the second has it or gave up, or is killed.
        for steps = 0, 30 do
            for _, killed in ipairs({ true, false }) do
                local machine = model.new()
                local dead = asking(machine, 1)
                model.run(dead)
                model.kill(machine, dead)
                local first, second = asking(machine, 2, lock.try_lock), asking(machine, 3)
                model.run(first, steps)
                if killed then
                    model.kill(machine, first)
                    model.run(second)
                    assert.equal(TAKEN_OVER, second.hold)
                    assert.equal(3, machine.workers[#machine.workers].process)
                else
                    model.run(second, 2000)
                    model.run(first)
                    model.run(second)
                    local holders = (first.hold == TAKEN_OVER and 1 or 0) + (second.hold == TAKEN_OVER and 1 or 0)
                    assert.equal(1, holders)
                end
                assert.is_nil(machine.entries["name:over"])
            end
        end
    end)

    it("is not taken from a worker that got it when another, now dead, had let go of it", function()
        -- Whoever looks at the holder is stopped after so many operations; meanwhile the lock changes hands and the old holder dies.
        for steps = 0, 12 do
            local machine = model.new()
            local old
            old = model.start(machine, 1, function()
                local worker = new_worker(machine, 1)
                lock.lock(worker, "name")
                coroutine.yield()
                lock.unlock(worker, "name")
            end)
            model.run(old, 2)
            local looking, new = asking(machine, 2, lock.try_lock), asking(machine, 3)
            model.run(looking, steps)
            model.run(old)
            model.run(new, 5)
            model.kill(machine, old)
            model.run(looking)
            model.run(new)
            local holders = 0
            for _, each in ipairs({ looking, new }) do
                if each.hold == HELD or each.hold == TAKEN_OVER then holders = holders + 1 end
            end
            assert.equal(1, holders)
        end
    end)

    it("is had by no two when those who take it over die, one after another", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("lock: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        local had, taken_over = 0, 0
        for _ = 1, 40 do
            local machine, holder, next_process = model.new(), nil, 0
            local function body(running)
                local worker = new_worker(machine, running.process)
                while not machine.quitting do
                    local hold = (math.random(4) == 1 and lock.lock or lock.try_lock)(worker, "name")
                    if hold == HELD or hold == TAKEN_OVER then
                        assert(holder == nil or holder.killed, "two have the lock")
                        -- Work is left undone by the dead alone, and always said to be.
                        assert.equal(holder ~= nil, hold == TAKEN_OVER)
                        had, taken_over = had + 1, taken_over + (holder and 1 or 0)
                        holder = running
                        for _ = 1, math.random(0, 3) do coroutine.yield() end
                        -- A worker is done once the lock is gone; it may be killed before that.
                        local dictionary = worker.dictionary
                        worker.dictionary = machine.plain
                        coroutine.yield()
                        holder = nil
                        lock.unlock(worker, "name")
                        worker.dictionary = dictionary
                    end
                end
            end
            local function start()
                next_process = next_process + 1
                model.start(machine, next_process, body)
            end
            for _ = 1, 4 do start() end
            for _ = 1, 4000 do
                local worker = machine.workers[math.random(#machine.workers)]
                model.step(worker)
                -- More often while something is being taken over.
                if math.random(machine.entries["name:over"] and 8 or 60) == 1 then
                    model.kill(machine, worker)
                    start()
                end
            end
            machine.quitting = true
            local busy = true
            while busy do
                busy = false
                for _, each in ipairs(machine.workers) do busy = model.step(each) or busy end
            end
        end
        assert.is_true(had > 200 and taken_over > 50, had .. " " .. taken_over)
    end)

    it("says so if the dictionary is full, and is not taken over then", function()
        local machine = model.new(8)
        local dead = asking(machine, 1)
        model.run(dead)
        model.start(machine, 2, function() end)
        local worker = new_worker(machine, 2)
        worker.dictionary, worker.is_alive = machine.plain, machine.is_alive_now
        assert.is_nil(machine.plain.add("filling", 1))
        assert.equal("no memory", machine.plain.add("more", 1))
        model.kill(machine, dead)
        for _, ask in ipairs({ lock.lock, lock.try_lock }) do
            assert.equal(NO_ROOM, ask(worker, "other"))
            assert.equal(NO_ROOM, ask(worker, "name"))
        end
        assert.equal(1, machine.entries.name)
        machine.plain.remove("filling")
        assert.equal(TAKEN_OVER, lock.lock(worker, "name"))
        assert.equal(2, machine.entries.name)
    end)
end)
