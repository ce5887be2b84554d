local followed_file = require("sluice.edge.followed_file")
local descriptors = require("spec.unit.descriptors")

local follow, look, positions_of = followed_file.follow_file, followed_file.look, followed_file.positions_of

local function output_of(command)
    local pipe = assert(io.popen(command))
    local text = pipe:read("*a")
    pipe:close()
    return (text:gsub("\n$", ""))
end

-- Positions as a database gives them back.
local function copy(positions)
    local made = {}
    for index, position in ipairs(positions) do
        made[index] = { fingerprint = position.fingerprint, inode = position.inode, offset = position.offset, current = position.current }
    end
    return made
end

describe("followed file", function()
    local folder, path, now

    before_each(function()
        folder = output_of("mktemp -d")
        path = folder .. "/usage.jsonl"
        now = os.time()
    end)
    after_each(function() os.execute("rm -rf " .. folder) end)

    local function add(text, ending)
        local file = assert(io.open(path .. (ending or ""), "ab"))
        file:write(text)
        file:close()
    end
    local function rename(from, to) assert(os.rename(path .. from, path .. to)) end
    local function run(command) assert(os.execute(("cd %s && %s"):format(folder, command)) == 0, command) end

    -- All lines that are there, and what else was said.
    local function rest(followed, at)
        local reason = look(followed)
        if reason then return nil, reason end
        local found, lines = {}, followed_file.new_lines()
        while true do
            local some, failure = followed_file.read_lines(followed, lines, at or now)
            if some == nil then return nil, failure end
            if not some then break end
            for index = 1, lines.count do found[#found + 1] = lines.texts[index] end
        end
        return table.concat(found, " ")
    end
    local function notices(followed) return table.concat(followed.notices, "\n") end
    local function again(followed, forgiving) return follow(path, copy(positions_of(followed)), forgiving or false) end

    it("gives whole lines once, and leaves an unfinished one", function()
        local followed = follow(path, {}, false)
        assert.equal("", rest(followed))
        add("one\ntwo\nthr")
        assert.equal("one two", rest(followed))
        assert.equal("", rest(followed, now + 1000))
        add("ee\n\n")
        assert.equal("three ", rest(followed))
        assert.equal("", rest(again(followed)))
        add("four\n")
        assert.equal("four", rest(again(followed)))
        assert.equal("four", rest(followed))
    end)

    it("says where a line begins, and in which file", function()
        add("one\ntwo\n")
        local followed, lines = follow(path, {}, false), followed_file.new_lines()
        look(followed)
        assert.is_true((followed_file.read_lines(followed, lines, now)))
        assert.same({ 2, { 0, 4 }, path }, { lines.count, lines.offsets, lines.file })
        add("three\n")
        look(followed)
        followed_file.read_lines(followed, lines, now)
        assert.same({ 1, 8 }, { lines.count, lines.offsets[1] })
    end)

    it("reads a bounded number of bytes at once, and long lines in pieces of a mebibyte", function()
        local line = ("x"):rep(999) .. "\n"
        add(line:rep(1000))
        local followed, lines = follow(path, {}, false), followed_file.new_lines()
        look(followed)
        followed_file.read_lines(followed, lines, now)
        assert.equal(262, lines.count)
        assert.equal(262000, positions_of(followed)[1].offset)
        assert.equal(738 * 1000 - 1, #rest(followed))
        add(("y"):rep(1048575) .. "\n")
        assert.equal(1048575, #rest(followed))
        add(("z"):rep(1048576 + 10) .. "\nlast\n")
        local text = rest(followed)
        assert.equal(("z"):rep(1048576) .. " " .. ("z"):rep(10) .. " last", text)
    end)

    it("finishes a rotated file, and whatever is written to it later", function()
        local followed = follow(path, {}, false)
        add("a1\n")
        assert.equal("a1", rest(followed))
        add("a2\n")
        rename("", ".1")
        add("b1\n")
        assert.equal("a2 b1", rest(followed))
        add("a3\n", ".1")
        add("b2\n")
        assert.equal("a3 b2", rest(followed))
        followed = again(followed)
        add("a4\n", ".1")
        add("b3\n")
        assert.equal("a4 b3", rest(followed))
    end)

    it("finds what was rotated any number of times meanwhile, under any names", function()
        add("a1\n")
        local followed = follow(path, {}, false)
        assert.equal("a1", rest(followed))
        add("a2\n")
        rename("", "-20261121")
        for _, letter in ipairs({ "b", "c", "d", "e" }) do
            add(letter .. "1\n")
            rename("", letter == "d" and ".old" or "." .. letter)
        end
        add("f1\n")
        local found = {}
        for word in assert(rest(again(followed))):gmatch("%S+") do found[#found + 1] = word end
        assert.equal("f1", found[#found])
        table.sort(found)
        assert.same({ "a2", "b1", "c1", "d1", "e1", "f1" }, found)
    end)

    it("begins with the oldest file, and of those changed at once with that of the highest number", function()
        for index = 12, 1, -1 do add("n" .. index .. "\n", "." .. index) end
        add("now\n")
        run("touch -d '2026-01-01' usage.jsonl.*")
        run("touch -d '2025-01-01' usage.jsonl.3 usage.jsonl")
        assert.equal("n3 n12 n11 n10 n9 n8 n7 n6 n5 n4 n2 n1 now", rest(follow(path, {}, false)))
    end)

    it("gives a rotated file's unfinished last line when nobody will finish it", function()
        add("a1\nhalf")
        local followed = follow(path, {}, false)
        assert.equal("a1", rest(followed, now + 1000))
        rename("", ".1")
        add("b1\n")
        assert.equal("b1", rest(followed, now))
        assert.equal("half", rest(followed, now + 10))
        assert.equal("", rest(followed, now + 20))
        add("more\n", ".1")
        assert.equal("more", rest(again(followed), now + 10))
    end)

    it("knows a file that was copied, and reads neither it nor the copy twice", function()
        add("a1\na2\n")
        local followed = follow(path, {}, false)
        rest(followed)
        add("a3\n")
        run("cp usage.jsonl copy && rm usage.jsonl && cp copy usage.jsonl && rm copy")
        assert.equal("a3", rest(again(followed)))
        followed = again(followed)
        assert.equal("a3", rest(followed))
    end)

    it("reads a copy by itself, and another name of a file not at all", function()
        add("a1\n")
        local followed = follow(path, {}, false)
        rest(followed)
        run("cp usage.jsonl usage.jsonl.bak && ln usage.jsonl usage.jsonl.hard && ln -s usage.jsonl usage.jsonl.soft")
        assert.equal("a1", rest(followed))
        add("a2\n")
        assert.equal("a2", rest(followed))
        assert.equal("", rest(again(followed)))
        local positions = positions_of(followed)
        assert.equal(2, #positions)
        assert.not_equal(positions[1].inode, positions[2].inode)
    end)

    it("goes on in a copy when the file was truncated in its place", function()
        add("a1\na2\n")
        local followed = follow(path, {}, false)
        rest(followed)
        add("a3\n")
        run("cp usage.jsonl usage.jsonl.1 && : > usage.jsonl")
        add("b1\n")
        assert.equal("a3 b1", rest(followed))
        assert.equal("", notices(followed))
        assert.equal("", rest(again(followed)))
    end)

    for _, length in ipairs({ 0, 2, 500 }) do
        it("tells when a file was truncated, with " .. length .. " bytes in it again", function()
            add("a1 is a line\na2 is another\n")
            local followed = follow(path, {}, false)
            rest(followed)
            local before = copy(positions_of(followed))
            run(": > usage.jsonl")
            local text = ("b"):rep(length - 1)
            if length > 0 then add(text .. "\n") end
            for _, each in ipairs({ followed, follow(path, before, false) }) do
                assert.equal(text, rest(each))
                assert.equal(path .. ": was emptied or replaced: it is read from its beginning; what was not read before is lost", notices(each))
            end
        end)
    end

    it("tells when the end of a file is gone, and reads it again", function()
        add(("x"):rep(1500) .. "\na2\na3\n")
        local followed = follow(path, {}, false)
        rest(followed)
        run("truncate -s 1504 usage.jsonl")
        assert.equal(("x"):rep(1500) .. " a2", rest(followed))
        assert.is_truthy(notices(followed):find("is shorter than what was read of it", 1, true))
    end)

    it("doesn't take a new file with an old one's inode for it", function()
        add("a1\n")
        local followed = follow(path, {}, false)
        rest(followed)
        local positions = copy(positions_of(followed))
        rename("", ".1")
        add("b1\nb2\n")
        positions[1].inode = output_of("stat -c %i " .. path)
        assert.equal("b1 b2", rest(follow(path, positions, false)))
    end)

    it("makes the hash of a file's beginning longer as it grows", function()
        add("x\n")
        local followed = follow(path, {}, false)
        rest(followed)
        assert.equal("2:", positions_of(followed)[1].fingerprint:sub(1, 2))
        add(("y"):rep(2000) .. "\n")
        rest(followed)
        add("z\n")
        rest(followed)
        assert.equal("1024:", positions_of(followed)[1].fingerprint:sub(1, 5))
        rename("", ".1")
        add("x\n" .. ("Y"):rep(2000) .. "\nz\nZ\n")
        assert.equal("x " .. ("Y"):rep(2000) .. " z Z", rest(again(followed)))
    end)

    it("stops when the file it read is gone, unless told to go on", function()
        add("a1\n")
        local followed = follow(path, {}, false)
        rest(followed)
        os.remove(path)
        add("b1\n", ".1")
        add("keeps the inode\n", ".2")
        local _, reason = rest(again(followed))
        assert.is_truthy(reason:find("^" .. path:gsub("%p", "%%%0") .. ": the file that was read up to byte 3 %(inode %d+%) is gone$"), reason)
        assert.equal(reason, select(2, rest(followed)))
        local forgiving = again(followed, true)
        assert.is_truthy(rest(forgiving):find("b1", 1, true))
        add("c1\n")
        assert.equal("c1", rest(forgiving))
        assert.equal("", rest(again(forgiving)))
        os.remove(path)
        run("rm usage.jsonl.2")
        assert.is_truthy(select(2, rest(forgiving)):find("is gone", 1, true))
    end)

    it("stops at a compressed file that was not read, and goes on when it is unpacked", function()
        add("a1\n")
        local followed = follow(path, {}, false)
        rest(followed)
        add("a2\n")
        rename("", ".1")
        add("b1\n")
        run("gzip usage.jsonl.1")
        local _, reason = rest(again(followed))
        assert.is_truthy(reason:find("is gone; it may be compressed, as is " .. path .. ".1.gz: unpack it", 1, true), reason)
        run("gunzip --keep usage.jsonl.1.gz")
        followed = again(followed)
        assert.equal("a2 b1", rest(followed))
        run("rm usage.jsonl.1")
        assert.equal("", rest(again(followed)))
    end)

    it("goes on when the file it read was compressed after its last line", function()
        add("a1\na2\n")
        local followed = follow(path, {}, false)
        rest(followed)
        rename("", ".1")
        run("gzip usage.jsonl.1")
        assert.equal("", rest(again(followed)))
        add("b1\n")
        assert.equal("b1", rest(again(followed)))
        assert.equal("b1", rest(followed))
    end)

    it("stops at a compressed file that is newer than what it read", function()
        add("a1\n")
        run("touch -d '2026-01-01' usage.jsonl")
        local followed = follow(path, {}, false)
        rest(followed)
        rename("", ".2")
        add("b1 not read\n", ".1")
        run("touch -d '2026-01-02' usage.jsonl.1 && gzip usage.jsonl.1")
        add("c1\n")
        local _, reason = rest(again(followed))
        assert.equal(path .. ".1.gz: is compressed, and was not read before: unpack it beside (gunzip --keep)", reason)
        local forgiving = again(followed, true)
        assert.equal("c1", rest(forgiving))
        assert.is_truthy(notices(forgiving):find("compressed files beside it are left out: 1, ", 1, true))
        assert.equal("", rest(again(forgiving)))
    end)

    it("doesn't mind older compressed files, nor one that is being made", function()
        add("old\n", ".2")
        run("touch -d '2026-01-01' usage.jsonl.2 && gzip usage.jsonl.2")
        add("a1\n")
        local followed = follow(path, {}, false)
        assert.equal("a1", rest(followed))
        assert.is_truthy(notices(followed):find("left out: 1, ", 1, true))
        rename("", ".1")
        add("b1\n")
        run("gzip --keep usage.jsonl.1 && touch -d '2036-01-01' usage.jsonl.1.gz")
        assert.equal("b1", rest(again(followed)))
    end)

    it("looks at files of that name only, and not at folders or pipes", function()
        add("a1\n")
        add("other\n", "x")
        run("mv usage.jsonlx other.jsonl && mkdir usage.jsonl.d && mkfifo usage.jsonl.pipe && ln -s other.jsonl usage.jsonl.link")
        assert.equal("other a1", rest(follow(path, {}, false)))
    end)

    it("says why a file can't be read", function()
        -- Nothing is mapped at the beginning of a process's memory.
        local followed = follow("/proc/self/mem", {}, false)
        assert.equal("/proc/self/mem: can't be read: Input/output error", look(followed))
    end)

    it("leaves no descriptor open", function()
        local before = descriptors()
        local followed = follow(path, {}, false)
        for index = 1, 30 do
            add(index .. "\n")
            rest(followed)
            rename("", "." .. index)
        end
        assert.equal(before, descriptors())
    end)

    it("loses and repeats nothing, whatever is appended, rotated, copied, cut and restarted in whatever order", function()
        local seed = os.time()
        math.randomseed(seed)
        for _ = 1, 30 do
            run("rm -rf usage.jsonl*")
            local written, read = 0, {}
            local rotated = 0
            local followed = follow(path, {}, false)
            local half
            local function collect()
                for word in assert(rest(followed)):gmatch("%S+") do
                    assert(not read[word], ("seed %d: %s was read twice"):format(seed, word))
                    read[word] = true
                end
            end
            for _ = 1, 60 do
                local action = math.random(8)
                if action <= 3 then
                    written = written + 1
                    local line = "line" .. written .. ("x"):rep(math.random(0, 700)) .. "\n"
                    local cut = math.random(#line)
                    add((half or "") .. line:sub(1, cut))
                    half = cut < #line and line:sub(cut + 1) or nil
                elseif action == 4 and not half then
                    rotated = rotated + 1
                    if io.open(path) then rename("", "." .. rotated) end
                elseif action == 5 and rotated > 0 and io.open(path .. "." .. rotated) then
                    written = written + 1
                    add("line" .. written .. "\n", "." .. rotated)
                elseif action == 6 then
                    followed = again(followed)
                elseif action == 7 then
                    collect()
                elseif action == 8 and rotated > 0 and io.open(path .. "." .. rotated) then
                    run(("cp -p usage.jsonl.%d copy && mv copy usage.jsonl.%d"):format(rotated, rotated))
                end
            end
            if half then add(half) end
            collect()
            local count = 0
            for _ in pairs(read) do count = count + 1 end
            assert.equal(written, count, "seed " .. seed)
        end
    end)
end)
