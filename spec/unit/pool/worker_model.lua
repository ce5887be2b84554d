-- Workers that share a dictionary, as coroutines: each stops before every operation on the dictionary, and before it looks
-- whether a process is alive. So a spec decides who goes on next, and between which two operations somebody is killed for good.

local dictionary_model = require("spec.unit.limit.dictionary_model")

local worker_model = {}

--- A machine without workers. `room`: how many entries the dictionary holds.
function worker_model.new(room)
    local machine = { workers = {}, processes = {}, plain = dictionary_model.new(room) }
    local stepping = {}
    for name, operation in pairs(machine.plain) do
        if type(operation) == "function" then
            stepping[name] = function(...)
                coroutine.yield()
                return operation(...)
            end
        end
    end
    machine.entries = machine.plain.entries
    machine.dictionary = stepping
    machine.is_alive = function(process)
        coroutine.yield()
        return machine.processes[process] ~= nil
    end
    machine.is_alive_now = function(process) return machine.processes[process] ~= nil end
    return machine
end

--- Starts a worker of that process id, which does what `body` does with it.
function worker_model.start(machine, process, body)
    assert(machine.processes[process] == nil)
    local worker = { process = process }
    worker.coroutine = coroutine.create(function() body(worker) end)
    machine.processes[process] = worker
    machine.workers[#machine.workers + 1] = worker
    return worker
end

--- Lets a worker do its next operation. Returns whether there was one.
function worker_model.step(worker)
    if worker.killed or coroutine.status(worker.coroutine) == "dead" then return false end
    local done, reason = coroutine.resume(worker.coroutine)
    if not done then error(reason .. "\n" .. debug.traceback(worker.coroutine), 0) end
    return coroutine.status(worker.coroutine) ~= "dead"
end

--- Lets it do all it has to do, or so many operations.
function worker_model.run(worker, steps)
    steps = steps or math.huge
    while steps > 0 and worker_model.step(worker) do steps = steps - 1 end
    return coroutine.status(worker.coroutine) == "dead"
end

function worker_model.kill(machine, worker)
    worker.killed = true
    machine.processes[worker.process] = nil
    for index, each in ipairs(machine.workers) do
        if each == worker then table.remove(machine.workers, index) end
    end
end

return worker_model
