local list_module = require("sluice.auth.address_list")

local address_list, client_address = list_module.address_list, list_module.client_address
local contains, is_address = list_module.contains_address, list_module.is_address

local function list(...)
    local made, problems = address_list({ ... })
    assert.same({}, problems)
    return made
end

describe("an address", function()
    local wrong = {
        "", " ", "1", "10.1", "10.0.1", "1.2.3", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4.", "1.2.3.4.5", "256.1.1.1",
        "1.2.3.256", "1.2.3.1000", "01.2.3.4", "1.2.3.04", "1.2.3.00", "0x1.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4",
        "1.2.3.4/32", "3232235777", "1.2.3.4\n", "1.2.3.4\0", "localhost", "unix:",
        ":", ":::", "1:", ":1", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
        "1:2:3:4::5:6:7:8", "12345::", "g::", "fe80::1%eth0", "[::1]", "::1.2.3", "::1.2.3.4.5", "::256.1.1.1", "::01.2.3.4",
        "1.2.3.4::", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.4:5", "1:2:3:4:5:6:7:", "::ffff:1.2.3.4 ", ("0"):rep(50),
    }
    for _, text in ipairs(wrong) do
        it(("is not %q"):format(text), function() assert.is_false(is_address(text)) end)
    end

    for _, text in ipairs({
        "0.0.0.0", "255.255.255.255", "127.0.0.1", "::", "::1", "1::", "2001:db8::1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8", "FE80::ABCD", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "64:ff9b::1.2.3.4",
        "0000:0000:0000:0000:0000:ffff:192.168.100.200",
    }) do
        it("is " .. text, function() assert.is_true(is_address(text)) end)
    end
end)

describe("a list of networks", function()
    for entry, message in pairs({
        ["10.0.0.1/8"] = "expected no bits set after the first 8",
        ["10.0.0.0/33"] = "expected a number of bits from 0 to 32 after the slash",
        ["10.0.0.0/"] = "expected a number of bits from 0 to 32 after the slash",
        ["10.0.0.0/08"] = "expected a number of bits from 0 to 32 after the slash",
        ["10.0.0.0/8 "] = "expected a number of bits from 0 to 32 after the slash",
        ["10.0.0.0/-1"] = "expected a number of bits from 0 to 32 after the slash",
        ["10.0.0.0/255.0.0.0"] = "expected a number of bits from 0 to 32 after the slash",
        ["2001:db8::1/32"] = "expected no bits set after the first 32",
        ["2001:db8::/129"] = "expected a number of bits from 0 to 128 after the slash",
        ["::ffff:10.0.0.0/8"] = "expected at least 96 bits for an IPv4 network written as IPv6",
        ["10/8"] = "expected an IPv4 or IPv6 network such as 10.0.0.0/8 or 2001:db8::/32",
        ["example.com"] = "expected an IPv4 or IPv6 network such as 10.0.0.0/8 or 2001:db8::/32",
        [""] = "expected an IPv4 or IPv6 network such as 10.0.0.0/8 or 2001:db8::/32",
    }) do
        it(("refuses %q"):format(entry), function()
            local _, problems = address_list({ "10.0.0.0/8", entry })
            assert.same({ { index = 1, message = message } }, problems)
        end)
    end

    it("tells of all wrong entries at once", function()
        local _, problems = address_list({ "x", "10.0.0.0/8", "y" })
        assert.same({ 0, 2 }, { problems[1].index, problems[2].index })
    end)

    it("holds what its networks hold, up to their borders", function()
        local networks = list("10.0.0.0/8", "192.168.4.0/22", "203.0.113.7", "2001:db8:0:8000::/49", "fe80::1")
        for address, inside in pairs({
            ["9.255.255.255"] = false, ["10.0.0.0"] = true, ["10.255.255.255"] = true, ["11.0.0.0"] = false,
            ["192.168.3.255"] = false, ["192.168.4.0"] = true, ["192.168.7.255"] = true, ["192.168.8.0"] = false,
            ["203.0.113.6"] = false, ["203.0.113.7"] = true, ["203.0.113.8"] = false,
            ["2001:db8:0:7fff::"] = false, ["2001:db8:0:8000::"] = true,
            ["2001:db8:0:ffff:ffff:ffff:ffff:ffff"] = true, ["2001:db8:1::"] = false,
            ["fe80::1"] = true, ["fe80::2"] = false, ["fe80:0:0:0:0:0:0:1"] = true,
        }) do
            assert.equal(inside, contains(networks, address), address)
            assert.equal(inside, contains(networks, address), address .. ", remembered")
        end
    end)

    it("takes IPv4 written as IPv6 for IPv4", function()
        assert.is_true(contains(list("10.0.0.0/8"), "::ffff:10.1.2.3"))
        assert.is_true(contains(list("10.0.0.0/8"), "::ffff:0a01:0203"))
        assert.is_true(contains(list("::ffff:10.0.0.0/104"), "10.1.2.3"))
        assert.is_false(contains(list("::ffff:10.0.0.0/104"), "11.1.2.3"))
        assert.is_false(contains(list("10.0.0.0/8"), "::10.1.2.3"))
    end)

    it("doesn't let every IPv6 address mean every IPv4 address, nor the other way round", function()
        assert.is_false(contains(list("::/0"), "10.0.0.1"))
        assert.is_true(contains(list("::/0"), "2001:db8::1"))
        assert.is_false(contains(list("0.0.0.0/0"), "2001:db8::1"))
        assert.is_true(contains(list("0.0.0.0/0"), "255.0.0.1"))
    end)

    it("holds nothing that is no address", function()
        assert.is_false(contains(list("0.0.0.0/0", "::/0"), "unix:"))
        assert.is_false(contains(list("0.0.0.0/0", "::/0"), ""))
    end)

    it("decides right after more addresses than it remembers", function()
        local networks = list("10.0.0.0/9")
        for round = 1, 2 do
            for index = 0, 2999 do
                local address = ("10.%d.%d.%d"):format(index % 256, math.floor(index / 256), round)
                assert.equal(index % 256 < 128, contains(networks, address))
            end
        end
        assert.is_true(networks.remembered_count <= 1000)
    end)
end)

describe("the client's address", function()
    local trusted = list("10.0.0.0/8", "2001:db8::/32")

    for name, case in pairs({
        ["is the peer's where no proxy is trusted"] = { "10.0.0.1", "1.1.1.1", nil, "10.0.0.1" },
        ["is the peer's where the peer isn't trusted"] = { "9.9.9.9", "1.1.1.1", trusted, "9.9.9.9" },
        ["is the peer's without a header"] = { "10.0.0.1", nil, trusted, "10.0.0.1" },
        ["is the peer's where the header is empty"] = { "10.0.0.1", "", trusted, "10.0.0.1" },
        ["is the peer's where the peer is no address"] = { "unix:", "1.1.1.1", trusted, "unix:" },
        ["is what the trusted proxy saw"] = { "10.0.0.1", "1.1.1.1", trusted, "1.1.1.1" },
        ["isn't what the client made up"] = { "10.0.0.1", "6.6.6.6, 1.1.1.1", trusted, "1.1.1.1" },
        ["isn't a trusted address that the client made up"] = { "10.0.0.1", "10.9.9.9, 1.1.1.1", trusted, "1.1.1.1" },
        ["is behind all trusted proxies"] = { "10.0.0.1", "6.6.6.6,1.1.1.1, 10.0.0.3 ,\t10.0.0.2", trusted, "1.1.1.1" },
        ["is the first in the header where all are trusted"] = { "10.0.0.1", "10.0.0.3, 10.0.0.2", trusted, "10.0.0.3" },
        ["is the proxy's that wrote what is no address"] = { "10.0.0.1", "1.1.1.1, unknown, 10.0.0.2", trusted, "10.0.0.2" },
        ["is the proxy's that wrote nothing"] = { "10.0.0.1", "1.1.1.1,, 10.0.0.2", trusted, "10.0.0.2" },
        ["may have a port"] = { "10.0.0.1", "1.1.1.1:4711", trusted, "1.1.1.1" },
        ["may be IPv6"] = { "2001:db8::1", "2001:db9::7", trusted, "2001:db9::7" },
        ["may be IPv6 in brackets"] = { "10.0.0.1", "[2001:db9::7]", trusted, "2001:db9::7" },
        ["may be IPv6 in brackets with a port"] = { "10.0.0.1", "[2001:db9::7]:443, [2001:db8::2]:1", trusted, "2001:db9::7" },
        ["isn't what only looks like an address"] = { "10.0.0.1", "1.1.1.01", trusted, "10.0.0.1" },
        ["isn't an obfuscated name"] = { "10.0.0.1", "_hidden:1", trusted, "10.0.0.1" },
    }) do
        it(name, function() assert.equal(case[4], client_address(case[1], case[2], case[3])) end)
    end

    it("is found in a header of 8 KB of blanks", function()
        assert.equal("1.1.1.1", client_address("10.0.0.1", "x" .. (" "):rep(8000) .. "x, 1.1.1.1" .. (" "):rep(8000), trusted))
        assert.equal("10.0.0.1", client_address("10.0.0.1", "1" .. (" "):rep(100000) .. "1", trusted))
    end)
end)
