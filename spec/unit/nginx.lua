-- A real nginx for the specs that need one. It serves a Unix socket in its directory, by which the specs ask it and see that it runs.

local ffi = require("ffi")

local nginx = {}

-- Debian builds the Lua module apart; an OpenResty has it within.
local MODULES = "/usr/lib/nginx/modules/"
-- Which nginx. It must not see the variable itself: it would take it for a list of inherited sockets.
local NGINX = os.getenv("NGINX") or "nginx"
-- Whatever takes so many seconds will never come.
local HANG_SECONDS = 60

ffi.cdef([[
typedef struct { uint16_t family, port; uint32_t address; uint8_t zero[8]; } sluice_spec_address;
int sluice_spec_socket(int family, int kind, int protocol) __asm__("socket");
int sluice_spec_bind(int descriptor, const sluice_spec_address *address, uint32_t length) __asm__("bind");
int sluice_spec_name(int descriptor, sluice_spec_address *address, uint32_t *length) __asm__("getsockname");
int sluice_spec_close(int descriptor) __asm__("close");
uint16_t sluice_spec_host_order(uint16_t number) __asm__("ntohs");
uint32_t sluice_spec_network_order(uint32_t number) __asm__("htonl");
int sluice_spec_sleep(unsigned int microseconds) __asm__("usleep");
]])

-- What a command prints.
function nginx.run(command)
    local pipe = assert(io.popen(command))
    local text = pipe:read("*a")
    pipe:close()
    return text
end

local run = nginx.run

function nginx.write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

local function is_file(path)
    local file = io.open(path)
    if file then file:close() end
    return file ~= nil
end

-- A directory with the one for temporary files in it. Workers of another user can enter it.
function nginx.folder()
    local folder = run("mktemp -d"):match("%S+")
    run(("chmod 755 %s; mkdir %s/temporary"):format(folder, folder))
    return folder
end

-- What a configuration begins with: the modules. As root, the workers stay root: they have to read the code where it was built.
function nginx.head()
    local lines = { "daemon off; pid nginx.pid;" }
    if NGINX == "nginx" and is_file(MODULES .. "ngx_http_lua_module.so") then
        lines[#lines + 1] = ("load_module %sndk_http_module.so; load_module %sngx_http_lua_module.so;"):format(MODULES, MODULES)
    end
    if run("id -u"):match("%d+") == "0" then lines[#lines + 1] = "user root;" end
    return table.concat(lines, "\n")
end

-- What its http block begins with.
function nginx.http_head()
    local here = run("pwd"):match("[^\n]+") .. "/"
    local path = package.path:gsub("[^;]+", function(each) return each:sub(1, 1) == "/" and each or here .. each end)
    return ([[
    access_log off; log_not_found off;
    client_body_temp_path temporary; proxy_temp_path temporary; fastcgi_temp_path temporary;
    uwsgi_temp_path temporary; scgi_temp_path temporary;
    lua_package_path "%s";]]):format(path)
end

-- Ports of 127.0.0.1 at which nobody listens. Another program may take one before it is used.
function nginx.free_ports(count)
    local address, length = ffi.new("sluice_spec_address"), ffi.new("uint32_t[1]")
    local descriptors, ports = {}, {}
    for index = 1, count do
        address.family, address.port, address.address = 2, 0, ffi.C.sluice_spec_network_order(0x7f000001)
        length[0] = ffi.sizeof(address)
        local descriptor = ffi.C.sluice_spec_socket(2, 1, 0)
        assert(descriptor >= 0 and ffi.C.sluice_spec_bind(descriptor, address, length[0]) == 0)
        assert(ffi.C.sluice_spec_name(descriptor, address, length) == 0)
        descriptors[index], ports[index] = descriptor, ffi.C.sluice_spec_host_order(address.port)
    end
    for _, descriptor in ipairs(descriptors) do ffi.C.sluice_spec_close(descriptor) end
    return ports
end

-- Waits for something that needs no more than its time.
function nginx.wait_for(what, condition, folder)
    local steps = 20
    for _ = 1, HANG_SECONDS * 1000 / steps do
        if condition() then return end
        ffi.C.sluice_spec_sleep(steps * 1000)
    end
    error(what .. " did not happen:\n" .. run(("cat %s/error.log"):format(folder)))
end

-- Asks it over its socket. Gives the body of the answer, "" if there is none.
function nginx.ask(folder, path)
    return run(("curl -sS --max-time %d --unix-socket %s/socket 'http://localhost%s' 2>/dev/null"):format(HANG_SECONDS, folder, path))
end

local function is_running(process) return os.execute(("kill -0 %s 2>/dev/null"):format(process)) == 0 end

-- Starts it in a directory. `configure` writes nginx.conf there, and is called again if another program has taken a port of it. Gives the
-- process.
function nginx.start(folder, configure)
    local log
    for _ = 1, 5 do
        configure()
        local process = run(("cd %s && { env -u NGINX %s -p %s -c nginx.conf -e error.log >output 2>&1 </dev/null & echo $!; }"):format(
            folder, NGINX, folder)):match("%d+")
        local serves = false
        nginx.wait_for("the start", function()
            serves = os.execute(("curl -s -o /dev/null --unix-socket %s/socket http://localhost/"):format(folder)) == 0
            return serves or not is_running(process)
        end, folder)
        if serves then return process end
        log = run(("cat %s/output %s/error.log"):format(folder, folder))
        if not log:find("Address already in use", 1, true) then break end
        os.remove(folder .. "/error.log")
    end
    error("nginx does not start: " .. log)
end

-- Ends it, and removes its directory.
function nginx.stop(folder, process)
    os.execute(("kill -QUIT %s 2>/dev/null"):format(process))
    nginx.wait_for("the end", function() return not is_running(process) end, folder)
    os.execute("rm -rf " .. folder)
end

return nginx
