local breaker_reference = require("spec.unit.pool.breaker_reference")
local breaker_view = require("spec.unit.pool.breaker_view")
local dictionary = require("spec.unit.pool.lasting_dictionary").new
local ffi = require("ffi")
local worker_model = require("spec.unit.pool.worker_model")

local TRIAL_SECONDS = 30

local function seed(what)
    local drawn = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
    io.write(what, ": SLUICE_SPEC_SEED=", drawn, "\n")
    math.randomseed(drawn)
end

describe("a breaker", function()
    it("does what a plain reference does, whatever happens to which worker", function()
        seed("breakers")
        local openings, guests = 0, 0
        for round = 1, 300 do
            local configuration = { failures = math.random(7), window = math.random(20), open = math.random(10), share = math.random(10) / 10 }
            local check_seconds = math.random(3) == 1 and math.random(8) or 0
            local shared, workers = dictionary(100), {}
            for index = 1, 3 do workers[index] = breaker_view.new(shared, configuration, "gpu http://a", TRIAL_SECONDS, check_seconds) end
            local expected = breaker_reference.new(configuration, TRIAL_SECONDS, check_seconds)
            local callers, pace = math.random(5), ({ 0.05, 1, 3 })[math.random(3)]
            -- Those that try it, with the ticket and the reference's name of the opening.
            local trying, now = {}, 1000 + math.random()
            for turn = 1, 200 do
                now = now + math.random() ^ 4 * ({ 0, 2, 20, 60 })[math.random(4)] * pace
                local place = ("round %d, turn %d"):format(round, turn)
                local worker, what, mark = workers[math.random(3)], math.random(20), math.random(callers)
                local one = what >= 8 and #trying > 0 and math.random(2) == 1 and table.remove(trying, math.random(#trying)) or {}
                if what <= 2 then
                    local ticket, opening = worker.take_trial(now), expected.take_trial(now)
                    assert.equal(opening ~= nil, ticket ~= 0, place)
                    if opening then trying[#trying + 1] = { ticket = ticket, opening = opening } end
                elseif what <= 5 then
                    local entry, ticket = worker.enter(now, mark)
                    local wanted, opening = expected.enter(now, mark)
                    assert.equal(wanted, entry, place)
                    if opening then
                        trying[#trying + 1] = { ticket = ticket, opening = opening, is_guest = true }
                        guests = guests + 1
                    end
                elseif what <= 7 then
                    local good = math.random(2) == 1
                    if check_seconds > 0 then
                        worker.check(now, good)
                        expected.check(now, good)
                    end
                elseif what <= 13 then
                    local evidence, is_open = math.random(3, 5), expected.until_time
                    worker.fail(now, { evidence = evidence, mark = mark, ticket = one.ticket })
                    expected.fail(now, evidence, mark, one.opening, one.is_guest)
                    if not is_open and expected.until_time then openings = openings + 1 end
                elseif what <= 18 then
                    local served = math.random(4) > 1
                    worker.finish(now, one.ticket, not served)
                    expected.finish(now, served, one.opening, one.is_guest)
                elseif what == 19 and one.ticket and math.random(2) == 1 then
                    worker.begin(now, one.ticket)
                    expected.begin(now, one.opening, one.is_guest)
                elseif what == 19 and one.ticket then
                    shared.now = now
                    worker.drop(one.ticket)
                    expected.drop(now, one.opening, one.is_guest)
                end
                -- What is left: the worker that tries it is killed.
                for _, each in ipairs(workers) do
                    assert.equal(expected.may_try(now), each.may_try(now), place)
                    assert.equal(expected.must_wait(now, mark), each.must_wait(now, mark), place)
                end
            end
        end
        assert.is_true(openings > 100 and guests > 100, ("%d openings, %d guests"):format(openings, guests))
    end)

    it("loses no failure of workers that note them at once, but those of workers that are killed meanwhile", function()
        seed("breakers at once")
        for _ = 1, 150 do
            local machine = worker_model.new(100)
            local most, done, killed = 40, 0, 0
            for process = 1, 4 do
                worker_model.start(machine, process, function(worker)
                    local view = breaker_view.new(machine.dictionary, { failures = most, window = 10, open = 5, share = 0.01 }, "a", TRIAL_SECONDS)
                    view.worker.process, view.worker.number, view.worker.is_alive = process, process, machine.is_alive
                    machine.plain.set("flights:worker:" .. process, process)
                    for _ = 1, 6 do
                        view.fail(100, { mark = process })
                        done = done + 1
                    end
                    worker.finished = true
                end)
            end
            while #machine.workers > 0 do
                local index = math.random(#machine.workers)
                local worker = machine.workers[index]
                if killed < 2 and math.random(400) == 1 then
                    worker_model.kill(machine, worker)
                    killed = killed + 1
                elseif worker_model.run(worker, math.random(20)) then
                    table.remove(machine.workers, index)
                end
            end
            local text = machine.entries["breaker:a:" .. most]
            local number = text and tonumber(ffi.cast("const double *", text)[0]) or 0
            assert.is_true(number >= done and number <= done + killed, ("%d noted, %d done, %d killed"):format(number, done, killed))
        end
    end)
end)
