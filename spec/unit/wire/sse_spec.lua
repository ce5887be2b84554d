local json = require("sluice.wire.json")
local sse = require("sluice.wire.sse")
local walking = require("spec.unit.wire.walking")

local frame = sse.new_frame()

-- The events of a text: for each its data lines, then what is left over.
local function events_of(text, last)
    local bytes, at, events = json.bytes_of(text), 0, {}
    while at < #text do
        local after = sse.next_event(frame, text, bytes, at, last or false)
        if after < 0 then
            break
        end
        assert(after > at and after <= #text, "an event of no bytes, or one past the end")
        local lines = {}
        for line = 0, frame.data_count - 1 do
            lines[line + 1] = text:sub(frame.data_starts[line] + 1, frame.data_ends[line])
        end
        events[#events + 1] = lines
        at = after
    end
    return events, text:sub(at + 1)
end

local CASES = {
    { "one event", "data: a\n\n", { { "a" } }, "" },
    { "two events", "data: a\n\ndata: b\n\n", { { "a" }, { "b" } }, "" },
    { "lines that end in CR", "data: a\r\rdata: b\r\r", { { "a" }, { "b" } }, "" },
    { "lines that end in CR LF", "data: a\r\n\r\ndata: b\r\n\r\n", { { "a" }, { "b" } }, "" },
    { "a CR LF after an LF", "data: a\n\r\ndata: b\n\n", { { "a" }, { "b" } }, "" },
    { "an LF after a CR LF", "data: a\r\n\ndata: b\n\n", { { "a" }, { "b" } }, "" },
    { "a CR after an LF", "data: a\n\rdata: b\n\n", { { "a" }, { "b" } }, "" },
    { "a CR before a CR LF", "data: a\r\r\ndata: b\n\n", { { "a" }, { "b" } }, "" },
    { "three kinds in one event", "data: a\rdata: b\ndata: c\r\n\n", { { "a", "b", "c" } }, "" },
    { "several data lines", "data: a\ndata: b\ndata:c\n\n", { { "a", "b", "c" } }, "" },
    { "an empty data line", "data: a\ndata\ndata:\ndata: \n\n", { { "a", "", "", "" } }, "" },
    { "no space after the colon", "data:a\n\n", { { "a" } }, "" },
    { "two spaces after the colon", "data:  a\n\n", { { " a" } }, "" },
    { "a tab after the colon", "data:\ta\n\n", { { "\ta" } }, "" },
    { "a space at the end", "data: a \n\n", { { "a " } }, "" },
    { "a colon in the data", "data: a: b\n\n", { { "a: b" } }, "" },
    { "a comment alone", ": ping\n\n", { {} }, "" },
    { "comments around data", ": x\ndata: a\n:\n: data: b\n\n", { { "a" } }, "" },
    { "other fields", "event: e\nid: 1\nretry: 5\ndata: a\nnew: x\n\n", { { "a" } }, "" },
    { "fields that only begin like data", "dat: x\ndata2: y\ndatax\nDATA: z\n data: w\ndata : v\n\n", { {} }, "" },
    { "blank lines alone", "\n\n\n", { {}, {}, {} }, "" },
    { "blank lines between", "data: a\n\n\n\ndata: b\n\n", { { "a" }, {}, {}, { "b" } }, "" },
    { "a byte order mark at the beginning", "\239\187\191data: a\n\n", { { "a" } }, "" },
    { "a byte order mark before a comment", "\239\187\191: x\n\ndata: a\n\n", { {}, { "a" } }, "" },
    { "NUL and bytes that are no UTF-8", "data: \0\255\n\n", { { "\0\255" } }, "" },
    { "an unfinished line", "data: a\n\ndata: b", { { "a" } }, "data: b" },
    { "an unfinished event", "data: a\n\ndata: b\ndata: c\n", { { "a" } }, "data: b\ndata: c\n" },
    { "nothing whole", "data: a\r\n", {}, "data: a\r\n" },
    { "a line of 100,000 bytes", "data: " .. ("x"):rep(100000) .. "\n\n", { { ("x"):rep(100000) } }, "" },
}

describe("events", function()
    for _, case in ipairs(CASES) do
        it("are found: " .. case[1], function()
            local events, rest = events_of(case[2])
            assert.same(case[3], events)
            assert.equal(walking.show(case[4]), walking.show(rest))
        end)
    end

    it("begin where they are told to", function()
        local text = "data: a\n\ndata: b\n\n"
        assert.equal(18, sse.next_event(frame, text, json.bytes_of(text), 9, false))
        assert.equal(1, frame.data_count)
        assert.equal("b", text:sub(frame.data_starts[0] + 1, frame.data_ends[0]))
    end)

    it("end with the buffer if nothing follows", function()
        assert.same({ { "a" }, { "b" } }, (events_of("data: a\n\ndata: b", true)))
        assert.same({ { "b" } }, (events_of("data: b\n", true)))
        assert.same({ { "b" } }, (events_of("data: b\r", true)))
        assert.same({ {} }, (events_of("da", true)))
        assert.same({}, (events_of("", true)))
    end)

    -- A byte order mark belongs to the beginning of a stream. Anywhere else it makes the line a field of another name, for
    -- the client's parser as well.
    it("have no byte order mark in their middle", function()
        assert.same({ { "a" } }, (events_of("data: a\n\239\187\191data: b\n\n")))
    end)

    it("of more than 256 data lines don't lose the others' bytes", function()
        local text = ("data: x\n"):rep(1000) .. "\ndata: a\n\n"
        local events, rest = events_of(text)
        assert.equal(2, #events)
        assert.same({ "a" }, events[2])
        assert.equal("", rest)
    end)

    it("in one buffer are each searched once", function()
        local find, searched = string.find, 0
        string.find = function(text, pattern, init, plain) -- luacheck: ignore
            local first, last = find(text, pattern, init, plain)
            searched = searched + (first or #text) - (init or 1) + 1
            return first, last
        end
        package.loaded["sluice.wire.sse"] = nil
        local counted = require("sluice.wire.sse")
        string.find = find -- luacheck: ignore
        package.loaded["sluice.wire.sse"] = sse

        local text = ("data: 0123456789\n\n"):rep(2000)
        local bytes, at, count = json.bytes_of(text), 0, 0
        while at < #text do
            at = counted.next_event(frame, text, bytes, at, false)
            count = count + 1
        end
        assert.equal(2000, count)
        assert.is_true(searched > #text and searched < 8 * #text, ("%d bytes searched in %d"):format(searched, #text))
    end)
end)

describe("the terminal marker", function()
    local function is_done(text)
        local bytes = json.bytes_of(text)
        assert.is_true(sse.next_event(frame, text, bytes, 0, true) > 0)
        return sse.is_done_marker(frame, bytes)
    end

    for _, text in ipairs({ "data: [DONE]\n\n", "data:[DONE]\n\n", "data: [DONE]  \n\n", "data: [DONE]\r\n\r\n", "data: [DONE]",
        ": x\ndata: [DONE]\n\n",
        "event: done\ndata: [DONE]\n\n" }) do
        it("is " .. walking.show(text), function() assert.is_true(is_done(text)) end)
    end

    for _, text in ipairs({ "data: [done]\n\n", "data: DONE\n\n", "data: [DONE\n\n", "data: [DONE]]\n\n", 'data: "[DONE]"\n\n', "data: [DONE]x\n\n",
        "data: [DONE]\ndata: [DONE]\n\n", "data: \n\n", "data\n\n", ": [DONE]\n\n", "event: [DONE]\n\n", "data: [D\ndata: ONE]\n\n",
        "data: [DO NE]\n\n" }) do
        it("is not " .. walking.show(text), function() assert.is_false(is_done(text)) end)
    end
end)
