local shape = require("sluice.wire.shape")
local walking = require("spec.unit.wire.walking")

describe("a shape", function()
    it("finds each of many members by its own name", function()
        local members, parts = {}, {}
        for index = 1, 31 do
            members["member " .. index] = { slot = "slot " .. index }
            parts[index] = ('"member %d":%d'):format(index, index)
        end
        for index = 32, 400 do
            members["plain " .. index] = {}
            parts[index] = ('"plain %d":"x"'):format(index)
        end
        local found = walking.slots(shape.compile({ members = members }), "{" .. table.concat(parts, ",") .. "}")
        for index = 1, 31 do
            assert.equal(index, found["slot " .. index].number)
        end
    end)

    it("tells members of the same name apart by their places", function()
        local compiled = shape.compile({
            members = { a = { slot = "outer", members = { a = { slot = "inner", members = { a = { slot = "innermost" } } } } } },
        })
        local found = walking.slots(compiled, '{"a":{"a":{"a":1}}}')
        assert.equal('{"a":{"a":1}}', found.outer.bytes)
        assert.equal('{"a":1}', found.inner.bytes)
        assert.equal("1", found.innermost.bytes)
    end)

    it("may hold itself", function()
        local tree = { members = { text = { text = true } } }
        tree.members.children = { items = tree }
        local document = '{"text":"1","children":[{"text":"2","children":[{"text":"3"},{"other":"x"}]},{"text":"4"}]}'
        assert.equal("1\n2\n3\n4\n", walking.text_of(shape.compile(tree), document))
    end)

    it("gives two places of one slot the same number", function()
        local compiled = shape.compile({ members = { a = { slot = "same" }, b = { members = { c = { slot = "same" } } } } })
        assert.equal("1", walking.slots(compiled, '{"a":1}').same.bytes)
        assert.equal("2", walking.slots(compiled, '{"b":{"c":2}}').same.bytes)
    end)

    it("takes names of up to 63 bytes, and tells longer ones in a document apart from them", function()
        local name = ("n"):rep(63)
        local compiled = shape.compile({ members = { [name] = { slot = "long" } } })
        assert.equal("1", walking.slots(compiled, '{"' .. name .. '":1}').long.bytes)
        assert.same({}, walking.slots(compiled, '{"' .. name .. 'n":1}'))
        assert.same({}, walking.slots(compiled, '{"' .. name:rep(2) .. '":1}'))
    end)

    it("takes an empty name", function()
        local compiled = shape.compile({ members = { [""] = { slot = "empty" } } })
        assert.equal("1", walking.slots(compiled, '{"":1}').empty.bytes)
        assert.same({}, walking.slots(compiled, '{"x":{"":1}}'))
    end)

    it("has at most 31 slots", function()
        local members = {}
        for index = 1, 32 do
            members["m" .. index] = { slot = "s" .. index }
        end
        assert.has_error(function() shape.compile({ members = members }) end)
        members.m32 = nil
        assert.is_table(shape.compile({ members = members }))
    end)

    it("has a small table of members, whatever the hashes happen to be", function()
        local members = {}
        for object = 1, 12 do
            members["object" .. object] = { members = {} }
            for name = 1, 25 do members["object" .. object].members["member" .. name] = { slot = "wanted" } end
        end
        local seed = os.time()
        print("hashes: seed " .. seed)
        math.randomseed(seed)
        local ffi = require("ffi")
        local kept = ffi.string(shape.HASH_TABLE, 1024)
        local most = 0
        for _ = 1, 100 do
            for index = 0, 255 do shape.HASH_TABLE[index] = bit.tobit(math.random(0, 2 ^ 31) * 2 + math.random(0, 1)) end
            local done, compiled = pcall(shape.compile, { members = members })
            ffi.copy(shape.HASH_TABLE, kept, 1024)
            assert.is_true(done, compiled)
            most = math.max(most, compiled.mask + 1)
        end
        -- With 312 members two would meet in a table of that size more often than not, if only one way were tried.
        assert.is_true(most <= 32768, most)
    end)

    it("hashes a name as the walker does, byte order and all", function()
        assert.is_not.same({ shape.hash("ab") }, { shape.hash("ba") })
        assert.is_not.same({ shape.hash("a") }, { shape.hash("a\0") })
        assert.same({ shape.hash("model") }, { shape.hash("model") })
    end)

    it("draws other hash keys in each process", function()
        local script = "local shape = require('sluice.wire.shape') io.write((shape.hash('model')))"
        local seen = {}
        for run = 1, 2 do
            local pipe = io.popen(("LUA_PATH='%s' luajit -e \"%s\""):format(package.path, script))
            seen[run] = pipe:read("*a")
            pipe:close()
        end
        assert.matches("^%-?%d+$", seen[1])
        assert.is_not.equal(seen[1], seen[2])
    end)
end)
