-- Gates and the fetching of keys in a real nginx, which also plays the issuer.

local cjson = require("cjson.safe")
local nginx = require("spec.unit.nginx")
local support = require("spec.unit.auth.support")

local CONFIGURATION = [[
%s
master_process off;
error_log error.log;
events { worker_connections 256; }
http {
%s
    lua_shared_dict counts 1m;
    server {
        listen 127.0.0.1:%d;
        listen unix:%s/socket;
        location = /keys { content_by_lua_block {
            ngx.shared.counts:incr("keys", 1, 0)
            ngx.sleep(0.1)
            ngx.print(io.open(ngx.config.prefix() .. "keys.json"):read("*a"))
        } }
        location = /big { content_by_lua_block { ngx.print((" "):rep(262145)) } }
        location = /edge { content_by_lua_block { ngx.print((" "):rep(262144)) } }
        location = /moved { return 302 /keys; }
        location = /gates { content_by_lua_file gates.lua; }
        location = /fetches { content_by_lua_file fetches.lua; }
    }
}
]]

local GATES = [[
    local new_gate = require("sluice.edge.gate").new_gate
    local gate, through = new_gate(), {}
    local threads = {}
    for index = 1, 20 do
        threads[index] = ngx.thread.spawn(function()
            gate.wait(5)
            through[#through + 1] = index
        end)
    end
    local results = { before = #through }
    gate.open()
    for _, thread in ipairs(threads) do ngx.thread.wait(thread) end
    results.after = #through
    ngx.update_time()
    local began = ngx.now()
    gate.wait(5)
    gate.open()
    gate.wait(5)
    ngx.update_time()
    results.waited_at_open = ngx.now() - began >= 4
    -- Who gives up waiting doesn't take anyone else's place.
    local other = new_gate()
    other.wait(0.01)
    local let_through = false
    local late = ngx.thread.spawn(function() other.wait(5) let_through = true end)
    other.open()
    ngx.thread.wait(late)
    results.late = let_through
    ngx.print(require("cjson").encode(results))
]]

local FETCHES = [[
    local fetching = require("sluice.edge.fetching").key_fetching()
    local jwks = require("sluice.auth.jwks")
    local public_key = require("sluice.auth.public_key")
    local support = require("spec.unit.auth.support")
    local base = "http://127.0.0.1:" .. ngx.var.server_port_of_keys
    local source = jwks.fetched_keys(base .. "/keys", support.reader, fetching, function() end)
    local found, threads = 0, {}
    for index = 1, 50 do
        threads[index] = ngx.thread.spawn(function()
            local keys = jwks.find_keys(source, "a", public_key.ALGORITHMS.RS256, ngx.now())
            found = found + #keys
        end)
    end
    for _, thread in ipairs(threads) do ngx.thread.wait(thread) end
    local _, big = fetching.fetch(base .. "/big")
    local edge = fetching.fetch(base .. "/edge")
    local _, moved = fetching.fetch(base .. "/moved")
    ngx.print(require("cjson").encode({
        found = found, fetches = ngx.shared.counts:get("keys"), big = big, edge = edge and #edge, moved = moved,
    }))
]]

describe("in nginx", function()
    local folder, process

    local function ask(path)
        local text = nginx.ask(folder, path)
        return assert(cjson.decode(text), text .. nginx.run("cat " .. folder .. "/error.log"))
    end

    setup(function()
        folder = nginx.folder()
        support.write(folder .. "/keys.json", support.key_set(support.jwk(support.key_pair("RSA"), { kid = "a" })))
        support.write(folder .. "/gates.lua", GATES)
        process = nginx.start(folder, function()
            local port = nginx.free_ports(1)[1]
            support.write(folder .. "/fetches.lua", (FETCHES:gsub("ngx%.var%.server_port_of_keys", tostring(port))))
            support.write(folder .. "/nginx.conf", CONFIGURATION:format(nginx.head(), nginx.http_head(), port, folder))
        end)
    end)

    teardown(function() nginx.stop(folder, process) end)

    it("a gate holds everyone until it is opened, and nobody from then on", function()
        assert.same({ before = 0, after = 20, waited_at_open = false, late = true }, ask("/gates"))
    end)

    it("keys are fetched once for fifty who wait, bounded in size, and from nowhere else", function()
        assert.same({ found = 50, fetches = 1, big = "the response is too long", edge = 262144, moved = "status 302" }, ask("/fetches"))
    end)
end)
