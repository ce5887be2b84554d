-- Whom the gateway's own connections trust, against a real nginx, which is both the servers and the client.

local cjson = require("cjson.safe")

local NGINX = os.getenv("NGINX") or "nginx" -- which nginx must not see: it would take it for inherited sockets
local MODULES = "/usr/lib/nginx/modules/"

-- In master_process off everything runs in one process, so init and its workers share what is loaded here, too.
local CONFIGURATION = [[
%smaster_process off;
daemon on;
pid nginx.pid;
error_log error.log warn;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path temporary; proxy_temp_path temporary; fastcgi_temp_path temporary;
    uwsgi_temp_path temporary; scgi_temp_path temporary;
    lua_package_path "%s";
    lua_socket_log_errors off;
    ssl_certificate_key key.pem;
    init_by_lua_block { cases = dofile("%s/cases.lua") cases.load("root.pem", 4) }
    init_worker_by_lua_block { ngx.timer.at(0, function() cases.timer_results = cases.ask() end) }
    server {
        listen 127.0.0.1:%d;
        location /timer {
            content_by_lua_block {
                while not cases.timer_results do ngx.sleep(0.01) end
                cases.say(cases.timer_results)
            }
        }
        location /location { content_by_lua_block { cases.say(cases.ask()) } }
        location /timer_of_location {
            content_by_lua_block {
                local results
                ngx.timer.at(0, function() results = cases.ask() end)
                while not results do ngx.sleep(0.01) end
                cases.say(results)
            }
        }
        location /own { lua_ssl_trusted_certificate stranger.pem; content_by_lua_block { cases.say(cases.ask()) } }
        location /own_list { lua_ssl_crl empty.crl; content_by_lua_block { cases.say(cases.ask()) } }
        location /short { content_by_lua_block { cases.load("root.pem", 0) cases.say(cases.ask()) } }
        location /unread { content_by_lua_block { cases.say(cases.unread()) } }
        location /layouts { content_by_lua_block { cases.say(cases.layouts()) } }
    }
    server { listen 127.0.0.1:%d ssl; ssl_certificate chained.pem; location / { return 200; } }
    server { listen 127.0.0.1:%d ssl; ssl_certificate named.pem; location / { return 200; } }
    server { listen 127.0.0.1:%d ssl; ssl_certificate strange.pem; location / { return 200; } }
}
]]

local CASES = [[
local authorities = require("sluice.edge.authorities")
local http = require("sluice.edge.http")
local ffi = require("ffi")
local PREFIX, PORT = %q, %d
local cases = {}

function cases.load(file, most) return authorities.load_authorities(PREFIX .. "/" .. file, most) end

function cases.say(results) ngx.print(require("cjson.safe").encode(results)) end

-- What came of asking each server: its status, or why there was none.
function cases.ask()
    local results = {}
    for number, name in ipairs({ "chained", "named", "strange" }) do
        local response, reason = http.request_uri(("https://127.0.0.1:%%d/"):format(PORT + number),
            { ssl_server_name = "id.example.test", keepalive = false, timeout_ms = 5000 })
        results[name] = response and response.status or reason
    end
    return results
end

function cases.unread()
    local results = { missing = cases.load("nothing.pem", 4), broken = cases.load("cases.lua", 4) }
    results.asked = cases.ask()
    return results
end

-- Which layouts of memory are taken for those of nginx.
function cases.layouts()
    local function context(change)
        local tls = ffi.new("sluice_tls_settings", { context = ffi.cast("void *", 0x10008), buffer_bytes = 16384 })
        local location = ffi.new("sluice_lua_location", { tls })
        local locations = ffi.new("sluice_lua_location *[2]")
        locations[1] = location
        local request = ffi.new("sluice_located_request", { signature = 0x50545448, locations = locations })
        change(request, locations, location, tls)
        local found = authorities.context_of(request, 1)
        return found and tonumber(ffi.cast("uintptr_t", found)) or "none"
    end
    return {
        right = context(function() end),
        signature = context(function(request) request.signature = 0 end),
        no_locations = context(function(request) request.locations = nil end),
        low_locations = context(function(request) request.locations = ffi.cast("sluice_lua_location **", 8) end),
        no_location = context(function(_, locations) locations[1] = nil end),
        odd_location = context(function(_, locations) locations[1] = ffi.cast("sluice_lua_location *", 0x100001) end),
        no_settings = context(function(_, _, location) location.tls = nil end),
        a_number = context(function(_, _, location) location.tls = ffi.cast("sluice_tls_settings *", 60000) end),
        unset = context(function(_, _, location) location.tls = ffi.cast("sluice_tls_settings *", -1) end),
        buffer = context(function(_, _, _, tls) tls.buffer_bytes = 4096 end),
        no_context = context(function(_, _, _, tls) tls.context = nil end),
    }
end

return cases
]]

local CERTIFICATES = [[cd %s && exec 2>/dev/null
ec="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
printf 'basicConstraints=critical,CA:TRUE\n' >ca.ext
for name in root stranger; do openssl req -x509 $ec -days 2 -subj /CN=$name -keyout $name.key -out $name.pem; done
sign() { openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 2 -extfile $3.ext -out $1.pem; }
openssl req -new $ec -subj /CN=between -keyout between.key -out between.csr && sign between root ca
openssl req -new $ec -subj /CN=leaf -keyout key.pem -out leaf.csr
printf 'subjectAltName=DNS:id.example.test\n' >id.ext
printf 'subjectAltName=DNS:other.example.test\n' >other.ext
cp leaf.csr chained.csr; sign chained between id; cat between.pem >>chained.pem
cp leaf.csr named.csr; sign named root other
cp leaf.csr strange.csr; sign strange stranger id
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=2\n' >crl.cnf
: >index; openssl ca -config crl.cnf -gencrl -keyfile root.key -cert root.pem -out empty.crl
]]

local function run(command)
    local pipe = assert(io.popen(command))
    local text = pipe:read("*a")
    pipe:close()
    return text
end

describe("trusted authorities", function()
    local folder, port

    local function write(name, text)
        local file = assert(io.open(folder .. "/" .. name, "wb"))
        file:write(text)
        file:close()
    end

    local function ask(path)
        local text = run(("curl -s -m 20 'http://127.0.0.1:%d/%s'"):format(port, path))
        return assert(cjson.decode(text), text .. run("cat " .. folder .. "/error.log"))
    end

    setup(function()
        folder = run("mktemp -d"):gsub("%s+$", "")
        run(("chmod 755 %s; mkdir %s/temporary"):format(folder, folder))
        run(CERTIFICATES:format(folder))
        local load = ""
        if io.open(MODULES .. "ngx_http_lua_module.so") then
            load = ("load_module %sndk_http_module.so;\nload_module %sngx_http_lua_module.so;\n"):format(MODULES, MODULES)
        end
        local path = package.path:gsub("%./", run("pwd"):gsub("%s+$", "") .. "/")
        local log
        for attempt = 1, 5 do
            port = 20000 + (os.time() * 13 + attempt * 353 + tonumber(tostring({}):match("0x(%x+)"):sub(-4), 16)) % 30000
            write("cases.lua", CASES:format(folder, port))
            write("nginx.conf", CONFIGURATION:format(load, path, folder, port, port + 1, port + 2, port + 3))
            log = run(("env -u NGINX %s -p %s -c nginx.conf -e error.log 2>&1"):format(NGINX, folder))
            if io.open(folder .. "/nginx.pid") then break end
        end
        assert(io.open(folder .. "/nginx.pid"), log)
    end)

    teardown(function()
        run(("env -u NGINX %s -p %s -c nginx.conf -e error.log -s stop 2>&1; rm -rf %s"):format(NGINX, folder, folder))
    end)

    local TRUSTED = { chained = 200, named = "certificate host mismatch", strange = "20: unable to get local issuer certificate" }

    for _, place in ipairs({ "timer", "location", "timer_of_location" }) do
        it("are those that were loaded, in a " .. place:gsub("_", " "), function()
            for _ = 1, 2 do assert.same(TRUSTED, ask(place)) end
        end)
    end

    it("are those that nginx.conf names, where it names some", function()
        local results = ask("own")
        assert.equal(200, results.strange)
        assert.is_truthy(tostring(results.chained):find("^%d+: unable to"), results.chained)
        assert.is_truthy(tostring(results.named):find("^%d+: unable to"), results.named)
    end)

    it("are none where nginx.conf has a list of revoked certificates only", function()
        for name, result in pairs(ask("own_list")) do
            assert.is_truthy(tostring(result):find("^%d+: unable to"), name .. ": " .. result)
        end
    end)

    it("vouch for chains of so many certificates between, and for no longer ones", function()
        assert.same("22: certificate chain too long", ask("short").chained)
    end)

    it("are only found where memory is laid out as nginx does it", function()
        local results = ask("layouts")
        assert.equal(0x10008, results.right)
        results.right = nil
        local count = 0
        for name, found in pairs(results) do
            count = count + 1
            assert.equal("none", found, name)
        end
        assert.equal(10, count)
    end)

    it("are none if they can't be read, which the operator is told once", function()
        local results = ask("unread")
        assert.equal(folder .. "/nothing.pem: no certificates can be read from it", results.missing)
        assert.equal(folder .. "/cases.lua: no certificates can be read from it", results.broken)
        for name, result in pairs(results.asked) do
            assert.is_truthy(tostring(result):find("^%d+: unable to"), name .. ": " .. result)
        end
        local _, told = run("cat " .. folder .. "/error.log"):gsub("set it to [^ ]*/cases%.lua at http level", "")
        assert.equal(1, told)
    end)
end)
