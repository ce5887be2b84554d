local model = require("spec.unit.pool.worker_model")
local workers = require("sluice.pool.workers")

local function joined(machine, process)
    local worker = { dictionary = machine.plain, process = process, is_alive = machine.is_alive_now, number = 0 }
    return worker, workers.join_workers(worker)
end

local function start(machine, process)
    local worker
    local running = model.start(machine, process, function() end)
    worker = joined(machine, process)
    return worker, running
end

describe("a worker", function()
    it("has a number that no other ever had, and is on the list", function()
        local machine = model.new()
        local first, second = start(machine, 11), start(machine, 22)
        assert.same({ 1, 2 }, { first.number, second.number })
        assert.same({ 1, 2, 2 }, { workers.worker_at(machine.plain, 1), workers.worker_at(machine.plain, 2), workers.slot_count(machine.plain) })
        assert.is_nil(workers.worker_at(machine.plain, 3))
    end)

    it("is gone when its process is, and stays so when another gets the process id", function()
        local machine = model.new()
        local first, running = start(machine, 11)
        local second = start(machine, 22)
        assert.same({ false, false }, { workers.is_gone(second, first.number), workers.has_gone(second) })
        model.kill(machine, running)
        assert.same({ true, true }, { workers.is_gone(second, first.number), workers.has_gone(second) })
        local third = start(machine, 11)
        assert.is_true(workers.is_gone(second, first.number))
        assert.is_false(workers.is_gone(second, third.number))
    end)

    it("leaves its slot to another, and its number to none", function()
        local machine = model.new()
        local first, running = start(machine, 11)
        local second = start(machine, 22)
        model.kill(machine, running)
        workers.forget_worker(machine.plain, 1, first.number)
        assert.is_nil(workers.worker_at(machine.plain, 1))
        assert.is_true(workers.is_gone(second, first.number))
        local third = start(machine, 33)
        assert.same({ 3, 3, 2 }, { third.number, workers.worker_at(machine.plain, 1), workers.slot_count(machine.plain) })
        -- What is known no longer takes nobody off the list.
        workers.forget_worker(machine.plain, 1, first.number)
        assert.equal(3, workers.worker_at(machine.plain, 1))
    end)

    it("has no number if there is no room, and leaves nothing behind then", function()
        for room = 0, 3 do
            local machine = model.new(room)
            local worker, done = joined(machine, 11)
            assert.same({ false, 0 }, { done, worker.number })
            for name in pairs(machine.entries) do
                assert.is_truthy(name == "flights:births" or name == "flights:slots", name)
            end
        end
        local _, done = joined(model.new(4), 11)
        assert.is_true(done)
    end)

    it("is on the list once, with all others, however they interrupt each other", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("workers: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        for _ = 1, 200 do
            local machine, numbers = model.new(), {}
            for process = 1, 6 do
                model.start(machine, process, function()
                    local worker = { dictionary = machine.dictionary, process = process, is_alive = machine.is_alive, number = 0 }
                    assert(workers.join_workers(worker))
                    assert.is_nil(numbers[worker.number])
                    numbers[worker.number] = 0
                end)
            end
            local left = 6
            while left > 0 do
                local each = machine.workers[math.random(6)]
                if coroutine.status(each.coroutine) ~= "dead" and not model.step(each) then left = left - 1 end
            end
            for slot = 1, workers.slot_count(machine.plain) do
                local number = workers.worker_at(machine.plain, slot)
                if number then numbers[number] = numbers[number] + 1 end
            end
            assert.same({ 1, 1, 1, 1, 1, 1 }, numbers)
        end
    end)
end)
