local queues = require("sluice.pool.queue")

-- Serves whoever is next until nobody is left, and says who it was.
local function serve_all(queue)
    local order = {}
    local waiter = queues.next_in_queue(queue)
    while waiter ~= nil do
        order[#order + 1] = waiter.value
        queues.leave_queue(queue, waiter, true)
        waiter = queues.next_in_queue(queue)
    end
    return table.concat(order, " ")
end

describe("a queue", function()
    it("in which nobody waits has nobody next", function()
        local queue = queues.new_queue()
        assert.is_nil(queues.next_in_queue(queue))
        assert.equal(0, queue.size)
    end)

    it("serves a tenant's requests in the order in which they came", function()
        local queue = queues.new_queue()
        for number = 1, 4 do
            queues.join_queue(queue, "acme", "a" .. number)
        end
        assert.equal(4, queue.size)
        assert.equal("a1 a2 a3 a4", serve_all(queue))
        assert.equal(0, queue.size)
    end)

    it("serves tenants in turns, however many requests one has", function()
        local queue = queues.new_queue()
        for number = 1, 5 do
            queues.join_queue(queue, "acme", "a" .. number)
        end
        queues.join_queue(queue, "bob", "b1")
        queues.join_queue(queue, "bob", "b2")
        queues.join_queue(queue, "carol", "c1")
        assert.equal("a1 b1 c1 a2 b2 a3 a4 a5", serve_all(queue))
    end)

    it("puts who comes again at the end of the round", function()
        local queue = queues.new_queue()
        queues.join_queue(queue, "acme", "a1")
        queues.join_queue(queue, "bob", "b1")
        local first = queues.next_in_queue(queue)
        queues.leave_queue(queue, first, true)
        queues.join_queue(queue, "acme", "a2")
        queues.join_queue(queue, "carol", "c1")
        assert.equal("b1 a2 c1", serve_all(queue))
    end)

    it("does not take a turn from a tenant whose request gives up", function()
        local queue = queues.new_queue()
        local gone = queues.join_queue(queue, "acme", "a1")
        queues.join_queue(queue, "acme", "a2")
        queues.join_queue(queue, "bob", "b1")
        queues.leave_queue(queue, gone, false)
        assert.equal("a2 b1", serve_all(queue))
    end)

    it("goes on where the only request of a tenant gives up, wherever that is", function()
        for leaving = 1, 3 do
            local queue = queues.new_queue()
            local waiters = {}
            for place, tenant in ipairs({ "acme", "bob", "carol" }) do
                waiters[place] = queues.join_queue(queue, tenant, tenant)
            end
            queues.leave_queue(queue, waiters[leaving], false)
            local expected = { "bob carol", "acme carol", "acme bob" }
            assert.equal(expected[leaving], serve_all(queue))
        end
    end)

    it("agrees with a plain list of lists", function()
        local seed = os.time()
        print("queue seed " .. seed)
        math.randomseed(seed)
        local queue = queues.new_queue()
        -- The reference: tenants in the order of their turns, each with its requests.
        local ring, waiting = {}, {}
        local function place_of(list, value)
            for place, item in ipairs(list) do
                if item == value then return place end
            end
        end
        local function line_of(tenant)
            for _, line in ipairs(ring) do
                if line.tenant == tenant then return line end
            end
        end
        for step = 1, 20000 do
            local choice = math.random()
            if choice < 0.5 and #waiting < 40 then
                local tenant = "t" .. math.random(6)
                local waiter = queues.join_queue(queue, tenant, step)
                local line = line_of(tenant)
                if line == nil then
                    line = { tenant = tenant, waiters = {} }
                    ring[#ring + 1] = line
                end
                table.insert(line.waiters, waiter)
                table.insert(waiting, waiter)
            elseif #waiting > 0 then
                local served = choice < 0.8
                local waiter = served and ring[1].waiters[1] or waiting[math.random(#waiting)]
                local line = line_of(waiter.line.tenant)
                table.remove(line.waiters, place_of(line.waiters, waiter))
                table.remove(waiting, place_of(waiting, waiter))
                if served then
                    table.remove(ring, 1)
                    if #line.waiters > 0 then ring[#ring + 1] = line end
                elseif #line.waiters == 0 then
                    table.remove(ring, place_of(ring, line))
                end
                queues.leave_queue(queue, waiter, served)
            end
            assert.equal(#waiting, queue.size)
            local next_one = queues.next_in_queue(queue)
            assert.equal(ring[1] and ring[1].waiters[1].value, next_one and next_one.value)
        end
    end)
end)
