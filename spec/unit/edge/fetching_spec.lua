-- Gates and the fetching of keys in a real nginx, which also plays the issuer.

local cjson = require("cjson.safe")
local support = require("spec.unit.auth.support")

local NGINX = os.getenv("NGINX") or "nginx" -- which nginx must not see: it would take it for inherited sockets
local MODULES = "/usr/lib/nginx/modules/"

local CONFIGURATION = [[
%s
master_process off;
daemon on;
pid nginx.pid;
error_log error.log;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path temporary; proxy_temp_path temporary; fastcgi_temp_path temporary;
    uwsgi_temp_path temporary; scgi_temp_path temporary;
    lua_package_path "%s";
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

local function run(command)
    local pipe = assert(io.popen(command))
    local text = pipe:read("*a")
    pipe:close()
    return text
end

describe("in nginx", function()
    local folder

    local function ask(path)
        local text = run(("curl -s -m 20 --unix-socket %s/socket http://localhost%s"):format(folder, path))
        return assert(cjson.decode(text), text .. run("cat " .. folder .. "/error.log"))
    end

    setup(function()
        folder = run("mktemp -d"):gsub("%s+$", "")
        run(("chmod 755 %s; mkdir %s/temporary"):format(folder, folder))
        local load = ""
        if io.open(MODULES .. "ngx_http_lua_module.so") then
            load = ("load_module %sndk_http_module.so; load_module %sngx_http_lua_module.so;"):format(MODULES, MODULES)
        end
        local path = package.path:gsub("%./", run("pwd"):gsub("%s+$", "") .. "/")
        support.write(folder .. "/keys.json", support.key_set(support.jwk(support.key_pair("RSA"), { kid = "a" })))
        support.write(folder .. "/gates.lua", GATES)
        local log
        for attempt = 1, 5 do
            local port = 20000 + (os.time() * 11 + attempt * 397 + tonumber(tostring({}):match("0x(%x+)"):sub(-4), 16)) % 30000
            support.write(folder .. "/fetches.lua", (FETCHES:gsub("ngx%.var%.server_port_of_keys", tostring(port))))
            support.write(folder .. "/nginx.conf", CONFIGURATION:format(load, path, port, folder))
            log = run(("env -u NGINX %s -p %s -c nginx.conf -e error.log 2>&1"):format(NGINX, folder))
            if io.open(folder .. "/nginx.pid") then break end
        end
        assert(io.open(folder .. "/nginx.pid"), log)
    end)

    teardown(function()
        run(("env -u NGINX %s -p %s -c nginx.conf -e error.log -s stop 2>&1; rm -rf %s"):format(NGINX, folder, folder))
    end)

    it("a gate holds everyone until it is opened, and nobody from then on", function()
        assert.same({ before = 0, after = 20, waited_at_open = false, late = true }, ask("/gates"))
    end)

    it("keys are fetched once for fifty who wait, bounded in size, and from nowhere else", function()
        assert.same({ found = 50, fetches = 1, big = "the response is too long", edge = 262144, moved = "status 302" }, ask("/fetches"))
    end)
end)
