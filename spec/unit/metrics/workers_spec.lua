-- The same as aggregate_spec.lua on what ships: a real shared dictionary, real workers, a worker that is killed.

local nginx = require("spec.unit.nginx")
local parse = require("spec.unit.metrics.parse_exposition").parse

local CONFIGURATION = [[
%s
worker_processes 2;
error_log error.log notice;
events { worker_connections 64; }
http {
%s
    lua_shared_dict metrics %s;
    init_worker_by_lua_block {
        local aggregate = require("sluice.metrics.aggregate")
        local registry = require("sluice.metrics.registry").create()
        local store = assert(require("sluice.edge.shared_dictionary").open_dictionary("metrics"))
        local dropped = registry:counter("dropped_total", "Dropped."):with({})
        things = registry:counter("things_total", "Things.", { "kind" })
        level = registry:gauge("level", "Level.")
        seconds = registry:histogram("seconds", "Seconds.", nil, { 1 })
        joined = aggregate.join(registry, store, ngx.worker.pid(), dropped)
    }
    exit_worker_by_lua_block { require("sluice.metrics.aggregate").leave(joined) }
    server {
        listen unix:%s/socket;
        location = /count {
            content_by_lua_block {
                things:inc(1, { ngx.var.arg_kind or "a" })
                level:set(1)
                seconds:observe(0.5)
                if not ngx.var.arg_keep then require("sluice.metrics.aggregate").flush(joined, function() ngx.sleep(0) end) end
                ngx.print(ngx.worker.pid())
            }
        }
        location = /fill {
            content_by_lua_block {
                for index = 1, 5000 do things:inc(1, { "filler " .. index }) end
                require("sluice.metrics.aggregate").flush(joined, function() ngx.sleep(0) end)
                ngx.print("ok")
            }
        }
        location = /metrics {
            content_by_lua_block {
                require("sluice.metrics.aggregate").flush(joined, function() ngx.sleep(0) end)
                ngx.print(require("sluice.metrics.exposition").expose(joined, function() ngx.sleep(0) end))
            }
        }
    }
}
]]

local function start(dictionary_size)
    local gateway = { folder = nginx.folder() }

    function gateway.get(path) return nginx.ask(gateway.folder, path) end

    function gateway.values() return parse(gateway.get("/metrics")) end

    function gateway.wait_for(what, condition) nginx.wait_for(what, condition, gateway.folder) end

    function gateway.stop() nginx.stop(gateway.folder, gateway.master) end

    gateway.master = nginx.start(gateway.folder, function()
        nginx.write(gateway.folder .. "/nginx.conf", CONFIGURATION:format(nginx.head(), nginx.http_head(), dictionary_size, gateway.folder))
    end)
    gateway.wait_for("the first answer", function() return gateway.get("/metrics") ~= "" end)
    return gateway
end

-- Counts until both workers have. Returns how often each did.
local function count_on_both(gateway, query)
    local counted, workers = {}, 0
    for _ = 1, 400 do
        local process = gateway.get("/count" .. query)
        assert.truthy(process:match("^%d+$"), process)
        if not counted[process] then workers = workers + 1 end
        counted[process] = (counted[process] or 0) + 1
        if workers == 2 then return counted end
    end
    error("only one worker answered")
end

describe("metrics of several workers", function()
    local gateway

    after_each(function() gateway.stop() end)

    it("are added up, and survive a worker that is killed and one that ends", function()
        gateway = start("1m")
        local counted, total, victim = count_on_both(gateway, ""), 0, nil
        for process, count in pairs(counted) do
            total, victim = total + count, process
        end
        local values = gateway.values()
        assert.equal(total, values['things_total{kind="a"}'])
        assert.equal(total, values["seconds_count"])
        assert.equal(2, values["level"])

        assert.equal(0, os.execute("kill -9 " .. victim))
        gateway.wait_for("a new worker", function()
            total = total + 1
            return not counted[gateway.get("/count")]
        end)
        assert.equal(total, gateway.values()['things_total{kind="a"}'])

        -- What was not flushed yet is carried over when the workers end.
        for _, count in pairs(count_on_both(gateway, "?kind=late&keep=1")) do total = total + count end
        local before = gateway.get("/count?kind=other")
        assert.equal(0, os.execute("kill -HUP " .. gateway.master))
        gateway.wait_for("the old workers' end", function()
            return os.execute(("kill -0 %s 2>/dev/null"):format(before)) ~= 0
                and gateway.values()['things_total{kind="a"}'] + (gateway.values()['things_total{kind="late"}'] or 0) >= total
        end)
        values = gateway.values()
        assert.equal(total, values['things_total{kind="a"}'] + values['things_total{kind="late"}'])
    end)

    it("are dropped and counted when the dictionary is full, while those that are there stay right", function()
        gateway = start("64k")
        gateway.get("/count")
        assert.equal("ok", gateway.get("/fill"))
        gateway.get("/count")
        local values = gateway.values()
        assert.equal(2, values['things_total{kind="a"}'])
        assert.equal(2, values["seconds_count"])
        assert.is_true(values["dropped_total"] > 1000)
        local fillers = 0
        for key in pairs(values) do
            if key:find("filler", 1, true) then fillers = fillers + 1 end
        end
        assert.is_true(fillers > 10)
        -- A worker that came too late for a place of its own, and its level, are dropped at each flush.
        local beyond = fillers + values["dropped_total"] - 5000
        assert.is_true(beyond >= 0 and beyond <= 8, beyond)
        assert.equal("", nginx.run(("grep -E '\\[(error|alert|crit|emerg)\\]' %s/error.log"):format(gateway.folder)))
    end)
end)
