-- The HTTP client against a real nginx, which is both the server and where the client runs.

local cjson = require("cjson.safe")

local NGINX = os.getenv("NGINX") or "nginx" -- which nginx must not see: it would take it for inherited sockets
local MODULES = "/usr/lib/nginx/modules/"

-- What the server sends, byte for byte; a number is a rest in seconds.
local ANSWERS = {
    length = { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One: 1\r\nx-one:  2 \r\n\r\nhello" },
    close = { "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello" },
    old = { "HTTP/1.0 200 OK\r\n\r\nhello" },
    chunks = {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n", 0.02, "3", 0.02, "\r", 0.02,
        "\nllo\r", 0.02, "\n0\r\nTrailer: x\r\n\r\n",
    },
    bytes = { "HTTP/1.1", 0.02, " 200 OK\r\nContent-Le", 0.02, "ngth: 5\r\n\r", 0.02, "\nhe", 0.02, "llo" },
    interim = { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" },
    interim_forever = { ("HTTP/1.1 100 Continue\r\n\r\n"):rep(50) },
    none = { "HTTP/1.1 204 No Content\r\n\r\n" },
    not_modified = { "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n" },
    redirect = { "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n" },
    short = { "HTTP/1.1 200 OK\r\nContent-Length: 50\r\nConnection: close\r\n\r\nhello" },
    short_chunk = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhel" },
    no_last_chunk = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n" },
    wrong_chunk = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n" },
    negative_chunk = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n" },
    huge_chunk = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\nhello" },
    big_chunks = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" .. ("100\r\n" .. ("x"):rep(256) .. "\r\n"):rep(10) .. "0\r\n\r\n" },
    long_chunk_line = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" .. ("x"):rep(2000) .. "\r\nhello\r\n0\r\n\r\n" },
    gzip_coding = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" },
    two_lengths = { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!" },
    signed_length = { "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello" },
    big = { "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" .. ("x"):rep(2000) },
    big_close = { "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" .. ("x"):rep(2000) },
    exact = { "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" .. ("x"):rep(1000) },
    long_head = { "HTTP/1.1 200 OK\r\nX: " .. ("x"):rep(40000) .. "\r\n\r\n" },
    not_http = { "SSH-2.0-OpenSSH_9.2\r\n\r\n" },
    wrong_status = { "HTTP/1.1 20 OK\r\n\r\n" },
    switching = { "HTTP/1.1 101 Switching Protocols\r\n\r\n" },
    wrong_header = { "HTTP/1.1 200 OK\r\nContent Length: 5\r\n\r\nhello" },
    folded = { "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n" },
    silence = { 3 },
    stall = { "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", 3 },
    dribble = { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "h", 0.3, "e", 0.3, "l", 0.3, "l", 0.3, "o" },
    late = { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", 2.2, "llo" },
    nothing = {},
}

local CONFIGURATION = [[
%smaster_process off;
daemon on;
pid nginx.pid;
error_log error.log;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path temporary; proxy_temp_path temporary; fastcgi_temp_path temporary;
    uwsgi_temp_path temporary; scgi_temp_path temporary;
    lua_package_path "%s";
    lua_ssl_trusted_certificate trusted.pem;
    lua_socket_log_errors off;
    ssl_certificate_key key.pem;
    keepalive_timeout 300ms;
    server {
        listen 127.0.0.1:%d;
        location /raw {
            content_by_lua_block {
                local socket = ngx.req.socket(true)
                for _, part in ipairs(dofile(ngx.config.prefix() .. "answers.lua")[ngx.var.arg_case]) do
                    if type(part) == "number" then ngx.sleep(part) else socket:send(part) end
                end
            }
        }
        location /echo {
            content_by_lua_block {
                ngx.req.read_body()
                local text = ngx.req.raw_header() .. "|" .. (ngx.req.get_body_data() or "") .. "|" .. ngx.var.connection
                ngx.header.content_length = #text
                ngx.print(text)
            }
        }
        location /run { content_by_lua_file run.lua; }
    }
    server { listen 127.0.0.1:%d ssl; ssl_certificate good.pem; location / { return 200 $ssl_server_name; } }
    server { listen 127.0.0.1:%d ssl; ssl_certificate stranger.pem; location / { return 200 x; } }
}
]]

local function run(command)
    local pipe = assert(io.popen(command))
    local text = pipe:read("*a")
    pipe:close()
    return text
end

describe("the HTTP client", function()
    local folder, port, results

    local function write(name, text)
        local file = assert(io.open(folder .. "/" .. name, "wb"))
        file:write(text)
        file:close()
    end

    setup(function()
        folder = run("mktemp -d"):gsub("%s+$", "")
        run(("chmod 755 %s; mkdir %s/temporary"):format(folder, folder))
        local parts = {}
        for name, answer in pairs(ANSWERS) do
            local list = {}
            for _, part in ipairs(answer) do
                list[#list + 1] = type(part) == "number" and tostring(part) or ("%q"):format(part):gsub("\r", "\\r")
            end
            parts[#parts + 1] = ("%s = { %s }"):format(name, table.concat(list, ", "))
        end
        write("answers.lua", "return {\n" .. table.concat(parts, ",\n") .. "\n}")
        run(([[cd %s && exec 2>/dev/null
            name="-addext subjectAltName=DNS:id.example.test -days 2"
            openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out good.pem -subj /CN=id.example.test $name
            openssl req -x509 -key key.pem -out stranger.pem -subj /CN=other.example.test $name
            cp good.pem trusted.pem]]):format(folder))
        local load = ""
        if io.open(MODULES .. "ngx_http_lua_module.so") then
            load = ("load_module %sndk_http_module.so;\nload_module %sngx_http_lua_module.so;\n"):format(MODULES, MODULES)
        end
        local path = package.path:gsub("%./", run("pwd"):gsub("%s+$", "") .. "/")
        local log
        for attempt = 1, 5 do
            port = 20000 + (os.time() * 7 + attempt * 331 + tonumber(tostring({}):match("0x(%x+)"):sub(-4), 16)) % 30000
            write("nginx.conf", CONFIGURATION:format(load, path, port, port + 1, port + 2))
            log = run(("env -u NGINX %s -p %s -c nginx.conf -e error.log 2>&1"):format(NGINX, folder))
            if io.open(folder .. "/nginx.pid") then break end
        end
        assert(io.open(folder .. "/nginx.pid"), log)

        -- Every case runs inside nginx; what came of it comes back as JSON.
        write("run.lua", ([[
            local cjson = require("cjson.safe")
            local http = require("sluice.edge.http")
            local base = "http://127.0.0.1:%d"
            local results = {}
            local function try(name, uri, options)
                local response, reason = http.request_uri(uri, options or {})
                results[name] = {
                    status = response and response.status, body = response and response.body, reason = reason,
                    headers = response and response.headers,
                }
            end
            local threads = {}
            for name in pairs(dofile(ngx.config.prefix() .. "answers.lua")) do
                threads[#threads + 1] = ngx.thread.spawn(try, name, base .. "/raw?case=" .. name,
                    { timeout_ms = 500, max_body_bytes = 1000, keepalive = false })
            end
            for _, thread in ipairs(threads) do ngx.thread.wait(thread) end

            local began, asked = ngx.now(), 0
            local function wanted() asked = asked + 1 return true end
            local waiting = {
                ngx.thread.spawn(try, "late", base .. "/raw?case=late", { timeout_ms = 5000, keepalive = false, is_wanted = wanted }),
                ngx.thread.spawn(try, "unwanted", base .. "/raw?case=silence",
                    { timeout_ms = 60000, keepalive = false, is_wanted = function() return ngx.now() - began < 0.5 end }),
            }
            for _, thread in ipairs(waiting) do ngx.thread.wait(thread) end
            results.late.asked = asked
            results.no_time_to_connect = { http.request_uri(base .. "/echo", { connect_timeout_ms = 0, keepalive = false }) }

            try("head", base .. "/echo", { method = "HEAD" })
            try("post", base .. "/echo?a=b#fragment", { method = "POST", body = "text", headers = { ["X-Name"] = "value" } })
            try("empty_post", base .. "/echo", { method = "POST", keepalive = false })
            try("no_path", base .. "?x=y")
            try("localhost", (base:gsub("127.0.0.1", "localhost")) .. "/echo")
            for _ = 1, 2 do try("kept_" .. _, base .. "/echo") end
            for _ = 1, 2 do try("apart_" .. _, base .. "/echo", { keepalive = false }) end
            ngx.sleep(0.6)
            try("after_idle", base .. "/echo")

            local refused = {
                [" "] = {}, ["ftp://127.0.0.1/"] = {}, ["http://user@127.0.0.1/"] = {}, ["http://127.0.0.1:0/"] = {},
                ["http://127.0.0.1:99999/"] = {}, ["http:///"] = {}, ["http://127.0.0.1/ HTTP/1.1\r\nX: y"] = {}, ["http://127.0.0.1/\0"] = {},
                [base .. "/echo?value"] = { headers = { ["X-Name"] = "a\r\nX-Other: b" } },
                [base .. "/echo?newline"] = { headers = { ["X-Name"] = "a\nb" } },
                [base .. "/echo?zero"] = { headers = { ["X-Name"] = "a\0b" } },
                [base .. "/echo?name"] = { headers = { ["X-Name: a\r\nX"] = "b" } },
                [base .. "/echo?length"] = { headers = { ["Content-Length"] = "5" } },
                [base .. "/echo?coding"] = { headers = { ["Transfer-Encoding"] = "chunked" } },
                [base .. "/echo?method"] = { method = "GET / HTTP/1.1\r\nX:" },
                ["https://127.0.0.1:%d/"] = {},
            }
            local names = {}
            for uri, options in pairs(refused) do
                try("refused " .. uri, uri, options)
                names[#names + 1] = "refused " .. uri
            end
            results.refused = names
            try("nobody", "http://127.0.0.1:1/")
            try("tls", "https://127.0.0.1:%d/", { ssl_server_name = "id.example.test" })
            try("tls_kept", "https://127.0.0.1:%d/", { ssl_server_name = "id.example.test" })
            try("tls_wrong_name", "https://127.0.0.1:%d/", { ssl_server_name = "other.example.test" })
            try("tls_stranger", "https://127.0.0.1:%d/", { ssl_server_name = "id.example.test" })
            try("tls_unverified", "https://127.0.0.1:%d/", { ssl_verify = false })
            try("tls_verified_after", "https://127.0.0.1:%d/", { ssl_server_name = "id.example.test" })
            try("tls_to_plain", "https://127.0.0.1:%d/", { ssl_server_name = "id.example.test", timeout_ms = 500 })
            results.text = { http.get_text(base .. "/raw?case=length", 5, 500) }
            results.text_too_long = { http.get_text(base .. "/raw?case=length", 4, 500) }
            results.text_redirect = { http.get_text(base .. "/raw?case=redirect", 100, 500) }
            ngx.print(cjson.encode(results))
        ]]):format(port, port + 1, port + 1, port + 1, port + 1, port + 2, port + 2, port + 2, port))
        local text = run(("curl -s -m 30 http://127.0.0.1:%d/run"):format(port))
        results = assert(cjson.decode(text), text .. run("cat " .. folder .. "/error.log"))
    end)

    teardown(function()
        run(("env -u NGINX %s -p %s -c nginx.conf -e error.log -s stop 2>&1; rm -rf %s"):format(NGINX, folder, folder))
    end)

    for name, body in pairs({
        length = "hello", close = "hello", old = "hello", chunks = "hello", bytes = "hello", interim = "hello", none = "", not_modified = "",
        redirect = "", exact = ("x"):rep(1000),
    }) do
        it("reads a response of the kind " .. name, function()
            assert.is_nil(results[name].reason)
            assert.equal(body, results[name].body)
        end)
    end

    it("gives the status and the headers, in lower case and joined", function()
        assert.equal(200, results.length.status)
        assert.equal("1, 2", results.length.headers["x-one"])
        assert.equal(304, results.not_modified.status)
    end)

    it("follows no redirect", function() assert.equal(302, results.redirect.status) end)

    for name, reason in pairs({
        short = "the response was cut short", short_chunk = "the response was cut short", no_last_chunk = "the response was cut short",
        wrong_chunk = "the response has a chunk of the wrong size", negative_chunk = "the response has a wrong chunk size",
        huge_chunk = "the response has a wrong chunk size", big_chunks = "the response is too long",
        long_chunk_line = "the response has too long a head or line", interim_forever = "the response does not begin",
        gzip_coding = "the response has a transfer coding that was not asked for", two_lengths = "the response has a wrong content length",
        signed_length = "the response has a wrong content length", big = "the response is too long", big_close = "the response is too long",
        long_head = "the response has too long a head or line", not_http = "the response is not HTTP/1.1",
        wrong_status = "the response is not HTTP/1.1", switching = "the response is not HTTP/1.1", wrong_header = "the response is not HTTP/1.1",
        folded = "the response is not HTTP/1.1", silence = "timeout", stall = "timeout", nothing = "closed",
    }) do
        it("refuses a response of the kind " .. name, function()
            assert.equal(reason, results[name].reason)
            assert.is_nil(results[name].status)
        end)
    end

    it("counts its time from the beginning, not from the last byte", function() assert.equal("timeout", results.dribble.reason) end)

    it("asks while it waits whether the response is wanted, and goes on waiting if it is", function()
        assert.equal("hello", results.late.body)
        assert.is_true(results.late.asked >= 3)
    end)

    it("ends when nobody wants the response any more", function()
        assert.is_nil(results.unwanted.status)
        assert.equal("nobody waits for the response any more", results.unwanted.reason)
    end)

    it("bounds the time for the connection on its own", function() assert.equal("timeout", results.no_time_to_connect[2]) end)

    it("writes a request as it was asked to", function()
        local head, body = results.post.body:match("^(.-)|(.-)|")
        assert.equal("text", body)
        assert.equal("POST /echo?a=b HTTP/1.1", head:match("^[^\r\n]*"))
        for _, line in ipairs({ "X-Name: value", "Content-Length: 4", "User-Agent: sluice", ("Host: 127.0.0.1:%d"):format(port) }) do
            assert.truthy(head:find("\r\n" .. line .. "\r\n", 1, true), line)
        end
        assert.truthy(results.empty_post.body:find("\r\nContent-Length: 0\r\n", 1, true))
        assert.truthy(results.empty_post.body:find("\r\nConnection: close\r\n", 1, true))
    end)

    it("reads no body of a HEAD, and leaves the connection clean", function()
        assert.equal(200, results.head.status)
        assert.equal("", results.head.body)
        assert.truthy(results.post.status == 200)
    end)

    it("asks for / where the address has no path", function() assert.equal(404, results.no_path.status) end)

    it("knows localhost without a name server", function() assert.equal(200, results.localhost.status) end)

    it("keeps a connection unless told not to", function()
        local function connection(name) return results[name].body:match("|(%d+)$") end
        assert.equal(connection("kept_1"), connection("kept_2"))
        assert.are_not.equal(connection("apart_1"), connection("apart_2"))
    end)

    it("gets an answer although the kept connection has died", function() assert.equal(200, results.after_idle.status) end)

    it("refuses addresses and headers that would be read as something else", function()
        assert.equal(16, #results.refused)
        for _, name in ipairs(results.refused) do
            assert.is_nil(results[name].status, name)
            assert.truthy(results[name].reason:find("^expected "), name .. ": " .. results[name].reason)
        end
    end)

    it("says that nobody listens", function() assert.equal("connection refused", results.nobody.reason) end)

    it("verifies certificates, and sends the server's name", function()
        assert.equal("id.example.test", results.tls.body)
        assert.equal("id.example.test", results.tls_kept.body)
        for _, name in ipairs({ "tls_wrong_name", "tls_stranger", "tls_to_plain" }) do
            assert.is_nil(results[name].status, name)
            assert.is_string(results[name].reason)
        end
    end)

    it("doesn't take an unverified connection for a verified one", function()
        assert.equal(200, results.tls_unverified.status)
        assert.is_nil(results.tls_verified_after.status)
    end)

    it("gives the text of a 200 only", function()
        assert.same({ "hello" }, results.text)
        assert.equal("the response is too long", results.text_too_long[2])
        assert.equal("status 302", results.text_redirect[2])
    end)
end)
