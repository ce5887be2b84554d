local crypto = require("sluice.edge.crypto")
local keys = require("sluice.auth.api_key")

local function tenant(id) return { id = id, allows_model = function() return true end } end

local function look_up(table, secret) return keys.find_principal(table, crypto.sha256(secret)) end

describe("the table of API keys", function()
    local table, acme

    before_each(function()
        table = keys.key_table()
        acme = keys.add_tenant(table, tenant("acme"))
    end)

    it("knows nobody when it is empty", function()
        assert.is_nil(look_up(table, "anything"))
        assert.is_nil(look_up(table, ""))
    end)

    it("finds a key by its secret, and gives the same principal each time", function()
        assert.is_nil(keys.add_hashed_key(table, acme, "web", crypto.sha256_hex("s3cret")))
        local principal = look_up(table, "s3cret")
        assert.equal("acme", principal.tenant.id)
        assert.equal("web", principal.key)
        assert.equal(principal, look_up(table, "s3cret"))
        assert.is_nil(look_up(table, "s3cret "))
        assert.is_nil(look_up(table, crypto.sha256_hex("s3cret")))
    end)

    it("tells hashes apart that differ in one bit anywhere", function()
        local hash = crypto.sha256_hex("s3cret")
        for digit = 1, 64 do
            local other = ("%x"):format(bit.bxor(tonumber(hash:sub(digit, digit), 16), 1))
            local near = hash:sub(1, digit - 1) .. other .. hash:sub(digit + 1)
            assert.is_nil(keys.add_hashed_key(table, acme, "near-" .. digit, near))
        end
        assert.is_nil(look_up(table, "s3cret"))
        assert.is_nil(keys.add_hashed_key(table, acme, "right", hash))
        assert.equal("right", look_up(table, "s3cret").key)
    end)

    it("takes capital digits for the same hash", function()
        assert.is_nil(keys.add_hashed_key(table, acme, "web", crypto.sha256_hex("s3cret"):upper()))
        assert.equal("web", look_up(table, "s3cret").key)
    end)

    for name, hash in pairs({
        ["too short"] = ("a"):rep(63), ["too long"] = ("a"):rep(65), empty = "", ["not hexadecimal"] = ("a"):rep(63) .. "g",
        ["between the digits and the letters"] = ("a"):rep(63) .. ":", ["with a sign"] = "-" .. ("a"):rep(63),
    }) do
        it("refuses a hash that is " .. name, function()
            assert.equal("expected a SHA-256 of 64 hexadecimal digits", keys.add_hashed_key(table, acme, "web", hash))
        end)
    end

    for name, id in pairs({ empty = "", ["too long"] = ("x"):rep(65), spaced = "a b", quoted = 'a"', ["on two lines"] = "a\nb" }) do
        it("refuses an id that is " .. name, function()
            local problem = keys.add_hashed_key(table, acme, id, crypto.sha256_hex("s3cret"))
            assert.equal("expected an id of 1 to 64 letters, digits, dots, underscores and hyphens", problem)
            assert.is_nil(look_up(table, "s3cret"))
        end)
    end

    it("refuses the same key twice, also for another tenant", function()
        local other = keys.add_tenant(table, tenant("other"))
        assert.is_nil(keys.add_key(table, acme, "web", crypto.sha256("s3cret")))
        assert.equal("expected a key that no other entry has", keys.add_key(table, acme, "web2", crypto.sha256("s3cret")))
        assert.equal("expected a key that no other entry has", keys.add_key(table, other, "web", crypto.sha256("s3cret")))
        assert.equal("acme", look_up(table, "s3cret").tenant.id)
    end)

    it("refuses the same id twice in a tenant, but not in two", function()
        local other = keys.add_tenant(table, tenant("other"))
        assert.is_nil(keys.add_key(table, acme, "web", crypto.sha256("one")))
        assert.equal("expected an id that no other key of the tenant has", keys.add_key(table, acme, "web", crypto.sha256("two")))
        assert.is_nil(keys.add_key(table, other, "web", crypto.sha256("three")))
        assert.is_nil(look_up(table, "two"))
        assert.equal("other", look_up(table, "three").tenant.id)
    end)

    it("notices an id that was added long before, after it has grown", function()
        for index = 1, 3000 do assert.is_nil(keys.add_key(table, acme, "key-" .. index, crypto.sha256("s" .. index))) end
        for _, index in ipairs({ 1, 7, 16, 17, 1500, 3000 }) do
            assert.truthy(keys.add_key(table, acme, "key-" .. index, crypto.sha256("t" .. index)))
            assert.truthy(keys.add_key(table, acme, "other-" .. index, crypto.sha256("s" .. index)))
        end
    end)

    it("takes no key once it is closed", function()
        assert.is_nil(keys.add_key(table, acme, "web", crypto.sha256("one")))
        keys.close_table(table)
        assert.equal("the table of keys is closed", keys.add_key(table, acme, "api", crypto.sha256("two")))
        assert.equal("web", look_up(table, "one").key)
    end)

    it("reads a file with comments, blank lines, tabs and CRLF", function()
        local text = "# keys of acme\r\n\r\n  \t\nweb " .. crypto.sha256_hex("one") .. "\r\n\tapi\t" .. crypto.sha256_hex("two")
            .. " # the other one\n  # the end\nlast " .. crypto.sha256_hex("three")
        assert.same({}, keys.add_key_file(table, acme, text, function() end))
        assert.same({ "web", "api", "last" }, { look_up(table, "one").key, look_up(table, "two").key, look_up(table, "three").key })
        assert.equal(3, table.count)
    end)

    it("names the line of everything that is wrong in a file", function()
        local good = crypto.sha256_hex("one")
        local text = "web " .. good .. "\nonly-an-id\nx y\nweb " .. crypto.sha256_hex("two") .. "\nweb2 " .. good .. " extra\n"
            .. "web3 " .. good .. "\n"
        assert.same({
            "line 2: expected `id sha256`",
            "line 3: expected a SHA-256 of 64 hexadecimal digits",
            "line 4: expected an id that no other key of the tenant has",
            "line 5: expected `id sha256`",
            "line 6: expected a key that no other entry has",
        }, keys.add_key_file(table, acme, text, function() end))
    end)

    it("tells of 20 problems of a file, and how many more there are", function()
        local problems = keys.add_key_file(table, acme, ("nonsense\n"):rep(1020), function() end)
        assert.equal(21, #problems)
        assert.equal("line 20: expected `id sha256`", problems[20])
        assert.equal("and 1000 more", problems[21])
    end)

    it("never repeats what a wrong line holds", function()
        local problems = keys.add_key_file(table, acme, "sk-canary-secret\nid sk-canary-secret\n", function() end)
        assert.equal(2, #problems)
        assert.is_nil((problems[1] .. problems[2]):find("canary", 1, true))
    end)

    it("holds 100,000 keys, pausing every 1,000 lines, in memory that the collector doesn't see", function()
        local function key_file()
            local lines = {}
            for index = 1, 100000 do lines[index] = ("key-%d %s"):format(index, crypto.sha256_hex("secret-" .. index)) end
            return _G.table.concat(lines, "\n")
        end
        local text = key_file()
        local pauses = 0
        collectgarbage()
        collectgarbage()
        local before = collectgarbage("count")
        assert.same({}, keys.add_key_file(table, acme, text, function() pauses = pauses + 1 end))
        keys.close_table(table)
        collectgarbage()
        collectgarbage()
        assert.is_true(collectgarbage("count") - before < 200)
        assert.equal(100, pauses)
        for index = 1, 100000, 7 do assert.equal("key-" .. index, look_up(table, "secret-" .. index).key) end
        assert.is_nil(look_up(table, "secret-0"))
        assert.is_nil(look_up(table, "secret-100001"))
    end)

    it("gives its memory back when it is dropped", function()
        local function resident_pages()
            local file = assert(io.open("/proc/self/statm"))
            local pages = tonumber(file:read("*a"):match("%d+ (%d+)"))
            file:close()
            return pages
        end
        local function fill()
            local filled = keys.key_table()
            local owner = keys.add_tenant(filled, tenant("filled"))
            for index = 1, 20000 do keys.add_key(filled, owner, "k" .. index, crypto.sha256("s" .. index)) end
            filled = nil -- luacheck: ignore
            collectgarbage()
            collectgarbage()
        end
        for _ = 1, 3 do fill() end
        local before = resident_pages()
        for _ = 1, 30 do fill() end
        -- A table of 20,000 keys has more than 400 pages of 4 KiB.
        assert.is_true(resident_pages() - before < 2000)
    end)

    it("doesn't become a list when the hashes are counting numbers", function()
        for _, form in ipairs({ "%064x", "%08x" .. ("0"):rep(56), ("0"):rep(28) .. "%08x" .. ("0"):rep(28) }) do
            local counted = keys.key_table()
            local owner = keys.add_tenant(counted, tenant("counted"))
            for index = 1, 20000 do assert.is_nil(keys.add_hashed_key(counted, owner, "k" .. index, form:format(index))) end
            -- The longest run of full slots is the longest way of a lookup.
            local run, longest = 0, 0
            for slot = 0, counted.slot_count - 1 do
                run = counted.slots[slot] == 0 and 0 or run + 1
                longest = math.max(longest, run)
            end
            assert.is_true(longest < 100, form .. ": " .. longest)
        end
    end)
end)
