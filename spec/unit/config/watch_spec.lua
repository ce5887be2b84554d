local watch = require("sluice.config.watch")

describe("A watch", function()
    local stamps, stamp, watching

    before_each(function()
        stamps = { a = "1", b = "1" }
        stamp = function(path) return stamps[path] end
        watching = watch.start({ "a", "b" }, stamp)
    end)

    --- What the next looks tell.
    local function looks(count)
        local told = {}
        for index = 1, count do
            told[index] = watch.look(watching, stamp)
        end
        return told
    end

    it("is quiet while nothing changes", function()
        assert.same({ "same", "same", "same" }, looks(3))
    end)

    it("waits until a change has been quiet for one look, and then tells once", function()
        looks(1)
        stamps.b = "2"
        assert.same({ "changing", "reload", "same", "same" }, looks(4))
    end)

    it("waits on while the file goes on changing", function()
        for size = 2, 9 do
            stamps.a = tostring(size)
            assert.same({ "changing" }, looks(1))
        end
        assert.same({ "reload", "same" }, looks(2))
    end)

    it("waits for the other file too, when both are written", function()
        stamps.a = "2"
        assert.same({ "changing" }, looks(1))
        stamps.b = "2"
        assert.same({ "changing", "reload", "same" }, looks(3))
    end)

    it("says nothing of a change that was taken back", function()
        stamps.a = "2"
        assert.same({ "changing" }, looks(1))
        stamps.a = "1"
        assert.same({ "same", "same" }, looks(2))
    end)

    it("notices that a file is gone, and that it is back", function()
        stamps.b = nil
        assert.same({ "changing", "reload", "same" }, looks(3))
        stamps.b = "3"
        assert.same({ "changing", "reload", "same" }, looks(3))
    end)

    it("notices a change that happens while a change is acted on", function()
        stamps.a = "2"
        assert.same({ "changing", "reload" }, looks(2))
        stamps.a = "3"
        assert.same({ "changing", "reload", "same" }, looks(3))
    end)

    it("follows other files from now on, and keeps what it knows of those it had", function()
        stamps.c = "1"
        stamps.a = "2"
        watch.follow(watching, { "a", "c" }, stamp)
        assert.same({ "changing", "reload", "same" }, looks(3))
        stamps.b = "9"
        assert.same({ "same" }, looks(1))
        stamps.c = "2"
        assert.same({ "changing", "reload", "same" }, looks(3))
    end)
end)
