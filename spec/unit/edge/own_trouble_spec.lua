local ffi = require("ffi")
local trouble = require("sluice.edge.own_trouble")

ffi.cdef([[
typedef struct { unsigned short family; unsigned char port[2]; unsigned char address[4]; char rest[8]; } sluice_trouble_address;
int sluice_trouble_socket(int, int, int) __asm__("socket");
int sluice_trouble_bind(int, const sluice_trouble_address *, unsigned) __asm__("bind");
int sluice_trouble_connect(int, const sluice_trouble_address *, unsigned) __asm__("connect");
int sluice_trouble_listen(int, int) __asm__("listen");
int sluice_trouble_getsockname(int, sluice_trouble_address *, unsigned *) __asm__("getsockname");
int sluice_trouble_setsockopt(int, int, int, const int *, unsigned) __asm__("setsockopt");
int sluice_trouble_close(int) __asm__("close");
]])

local AF_INET, SOCK_STREAM, SOL_SOCKET, SO_REUSEADDR = 2, 1, 1, 2
local open = {}

local function socket()
    local number = ffi.C.sluice_trouble_socket(AF_INET, SOCK_STREAM, 0)
    open[#open + 1] = number
    assert(0 == ffi.C.sluice_trouble_setsockopt(number, SOL_SOCKET, SO_REUSEADDR, ffi.new("int[1]", 1), 4))
    return number
end

--- The loopback address with a port, or with one that the system chooses.
local function loopback(port)
    local address = ffi.new("sluice_trouble_address", { family = AF_INET, address = { 127, 0, 0, 1 } })
    if port then address.port = port end
    return address
end

local function bound(number)
    local address, length = loopback(), ffi.new("unsigned[1]", 16)
    assert(0 == ffi.C.sluice_trouble_getsockname(number, address, length))
    return address
end

describe("own_trouble", function()
    after_each(function()
        for _, number in ipairs(open) do ffi.C.sluice_trouble_close(number) end
        open = {}
    end)

    it("tells that no local port is left from a connection that is refused", function()
        local server = socket()
        assert(0 == ffi.C.sluice_trouble_bind(server, loopback(), 16))
        local target = bound(server)
        -- Nobody listens yet.
        assert.equal(-1, ffi.C.sluice_trouble_connect(socket(), target, 16))
        assert.is_false(trouble.lacks_port(trouble.system_error()))

        assert(0 == ffi.C.sluice_trouble_listen(server, 8))
        local first, second = socket(), socket()
        assert(0 == ffi.C.sluice_trouble_bind(first, loopback(), 16))
        assert(0 == ffi.C.sluice_trouble_bind(second, loopback(bound(first).port), 16))
        assert(0 == ffi.C.sluice_trouble_connect(first, target, 16))
        -- Its only port is in use towards that address.
        assert.equal(-1, ffi.C.sluice_trouble_connect(second, target, 16))
        assert.is_true(trouble.lacks_port(trouble.system_error()))

        trouble.forget_system_error()
        assert.equal(0, trouble.system_error())
    end)

    it("tells what is lacking here from what an endpoint fails of", function()
        for _, reason in ipairs({
            "error", "too many open files", "cannot assign requested address", "no memory", "cannot allocate memory",
            "no address is known of llm.example.com: failed to set peer name: too many open files",
        }) do
            assert.is_true(trouble.lacks_means(reason), reason)
        end
        for _, reason in ipairs({
            "", "timeout", "closed", "connection refused", "connection reset by peer", "no route to host", "network is unreachable",
            "it answers with status 500", "certificate verify failed", "handshake failed: error in the certificate", "no such name",
        }) do
            assert.is_false(trouble.lacks_means(reason), reason)
        end
    end)
end)
