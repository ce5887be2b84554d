-- What is read from and written to a Redis, over a socket that gives what the spec has it give.

local clock = require("sluice.edge.clock")
local redis_wire = require("sluice.edge.redis_wire")

-- A socket that hands out these pieces, one for each read; a function is called, and the next piece taken. Then it says `ending`.
local function socket_of(pieces, ending)
    local socket = { place = 0, sent = {}, limits = {} }
    function socket.settimeouts(_, _, _, read) socket.limits[#socket.limits + 1] = read end
    function socket.send(_, text)
        socket.sent[#socket.sent + 1] = type(text) == "table" and table.concat(text) or text
        return 1
    end
    function socket.receiveany(_, most)
        socket.place = socket.place + 1
        local piece = pieces[socket.place]
        if type(piece) == "function" then
            piece()
            return socket:receiveany(most)
        end
        if piece == nil then return nil, ending or "closed" end
        assert(#piece <= most)
        return piece
    end
    return socket
end

local function wire_of(pieces, ending, seconds)
    local socket = socket_of(pieces, ending)
    return redis_wire.new_wire({ _sock = socket }, clock.monotonic() + (seconds or 60)), socket
end

local REPLIES = {
    { "$5\r\nhello\r\n", "hello" },
    { "$0\r\n\r\n", "" },
    { "$6\r\na\r\nb\r\n\r\n", "a\r\nb\r\n" },
    { "-NOSCRIPT No matching script. Please use EVAL.\r\n", false, "NOSCRIPT No matching script. Please use EVAL." },
}

describe("a reply of Redis", function()
    it("is read, wherever it is cut, and nothing behind it", function()
        for _, case in ipairs(REPLIES) do
            local text, reply, reason = case[1] .. "$4\r\nnext\r\n", case[2], case[3]
            for first = 0, #text do
                for second = first, #text do
                    local wire = wire_of({ text:sub(1, first), text:sub(first + 1, second), text:sub(second + 1) })
                    assert.same({ n = 2, reply, reason }, { n = 2, redis_wire.read_reply(wire) })
                    assert.equal("next", (redis_wire.read_reply(wire)))
                    assert.is_false(redis_wire.has_rest(wire))
                end
            end
        end
    end)

    it("leaves what nobody asked for", function()
        local wire = wire_of({ "$2\r\nOK\r\n+" })
        assert.equal("OK", (redis_wire.read_reply(wire)))
        assert.is_true(redis_wire.has_rest(wire))
    end)

    it("that is not whole is none, and why is told", function()
        for _, case in ipairs(REPLIES) do
            local text = case[1]
            for length = 0, #text - 1 do
                for _, reason in ipairs({ "closed", "timeout" }) do
                    local wire = wire_of({ text:sub(1, length) }, reason)
                    assert.same({ n = 2, nil, reason }, { n = 2, redis_wire.read_reply(wire) })
                end
            end
        end
    end)

    it("that is none of ours is refused", function()
        for _, text in ipairs({ "HTTP/1.1 400 Bad Request\r\n", "\r\n", "$x\r\n", ":1\r\n", "+OK\r\n", "*0\r\n", "$-1\r\n" }) do
            assert.same({ n = 2, nil, "an answer of another kind" }, { n = 2, redis_wire.read_reply((wire_of({ text }))) })
        end
        assert.same({ n = 2, nil, "too long an answer" }, { n = 2, redis_wire.read_reply((wire_of({ "$16385\r\n" }))) })
        local endless = {}
        for index = 1, 20 do endless[index] = (index == 1 and "+" or "") .. ("x"):rep(1000) end
        local wire, socket = wire_of(endless)
        assert.same({ n = 2, nil, "too long an answer" }, { n = 2, redis_wire.read_reply(wire) })
        assert.equal(17, socket.place)
    end)
end)

describe("an exchange", function()
    -- The time passes in the middle: while a line, a text, an array or a row of replies is read.
    it("ends at its deadline, however many bytes have come and go on coming", function()
        for _, text in ipairs({ "-OKOKOKOK\r\n", "$8\r\nabcdefgh\r\n" }) do
            for cut = 1, #text - 1 do
                local pieces, wire = {}
                for index = 1, #text do pieces[#pieces + 1] = text:sub(index, index) end
                table.insert(pieces, cut, function() wire.deadline = clock.monotonic() end)
                local socket
                wire, socket = wire_of(pieces)
                assert.same({ n = 2, nil, "timeout" }, { n = 2, redis_wire.read_reply(wire) })
                assert.equal(cut + 1, socket.place)
            end
        end
    end)

    it("leaves each step what is left of its time", function()
        local wire, socket
        wire, socket = wire_of({ "$2\r\nO", function() wire.deadline = clock.monotonic() + 5 end, "K", "\r\n" }, nil, 10)
        assert.is_nil(redis_wire.write(wire, "x"))
        assert.equal("OK", (redis_wire.read_reply(wire)))
        assert.equal(4, #socket.limits)
        assert.is_true(socket.limits[1] <= 10000)
        assert.is_true(socket.limits[4] <= 5000)
    end)

    it("does not begin when no time is left", function()
        local wire, socket = wire_of({ "$2\r\nOK\r\n" }, nil, 0)
        assert.is_false(redis_wire.limit_time(wire))
        assert.equal("timeout", redis_wire.write(wire, "x"))
        assert.same({ n = 2, nil, "timeout" }, { n = 2, redis_wire.read_reply(wire) })
        assert.same({}, socket.sent)
    end)

    it("says why it could not send", function()
        local wire, socket = wire_of({})
        function socket.send() return nil, "broken pipe" end
        assert.equal("broken pipe", redis_wire.write(wire, "x"))
    end)
end)
