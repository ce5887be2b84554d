local read_http_date = require("sluice.pool.http_date").read_http_date
local read_retry_after = require("sluice.pool.retry_after").read_retry_after

-- Sunday, 6 November 1994, 08:49:37, the standard's example.
local EXAMPLE = 784111777
local NOW = 1700000000

describe("the time to wait that an upstream says", function()
    for text, milliseconds in pairs({
        ["0"] = 0, ["1"] = 1000, ["120"] = 120000, ["1.5"] = 1500, ["0.25"] = 250, [" 7 "] = 7000, ["007"] = 7000,
        [""] = -1, [" "] = -1, ["-1"] = -1, ["+1"] = -1, ["1e3"] = -1, ["0x10"] = -1, ["soon"] = -1, ["5s"] = -1, ["5, 10"] = -1, [".5"] = -1,
        ["1 2"] = -1, ["nan"] = -1, ["inf"] = -1, ["1\n"] = 1000, ["5\0"] = -1, ["1.2.3"] = -1,
        [("9"):rep(400)] = 31536000000, ["99999999999"] = 31536000000,
    }) do
        it(("of %q is read as seconds, or not at all"):format(#text > 20 and "many nines" or text), function()
            assert.equal(milliseconds, read_retry_after(text, nil, NOW))
        end)
    end

    it("is in milliseconds in the other header, which goes first if it can be understood", function()
        assert.equal(250, read_retry_after("9", "250", NOW))
        assert.equal(250.5, read_retry_after(nil, " 250.5", NOW))
        assert.equal(0, read_retry_after("9", "0", NOW))
        assert.equal(9000, read_retry_after("9", "later", NOW))
        assert.equal(9000, read_retry_after("9", "-5", NOW))
        assert.equal(-1, read_retry_after(nil, nil, NOW))
    end)

    it("may be a date, which may have passed", function()
        local text = "Sun, 06 Nov 1994 08:49:37 GMT"
        assert.equal(7000, read_retry_after(text, nil, EXAMPLE - 7))
        assert.equal(500, read_retry_after("  " .. text .. " ", nil, EXAMPLE - 0.5))
        assert.equal(0, read_retry_after(text, nil, EXAMPLE))
        assert.equal(0, read_retry_after(text, nil, NOW))
        assert.equal(31536000000, read_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", nil, NOW))
    end)
end)

describe("a date of HTTP", function()
    it("is understood in all three forms", function()
        for _, text in ipairs({ "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994" }) do
            assert.equal(EXAMPLE, read_http_date(text, EXAMPLE), text)
        end
        assert.equal(EXAMPLE + 10 * 86400, read_http_date("Wed Nov 16 08:49:37 1994", NOW))
    end)

    it("with a year of two digits is no more than fifty years ahead", function()
        assert.equal(EXAMPLE, read_http_date("Sunday, 06-Nov-94 08:49:37 GMT", NOW))
        assert.equal(2524608000, read_http_date("Saturday, 01-Jan-50 00:00:00 GMT", NOW))
    end)

    it("may have a leap day and a leap second", function()
        assert.equal(951782400, read_http_date("Tue, 29 Feb 2000 00:00:00 GMT", NOW))
        assert.equal(1709164800, read_http_date("Thu, 29 Feb 2024 00:00:00 GMT", NOW))
        assert.equal(1483228800, read_http_date("Sat, 31 Dec 2016 23:59:60 GMT", NOW))
    end)

    for _, text in ipairs({
        "", "Sun", "06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
        "Tue, 29 Feb 1900 00:00:00 GMT", "Wed, 29 Feb 2023 00:00:00 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 1994 08:49:37 GMT, 5", "1994-11-06T08:49:37Z", "Sun Nov    08:49:37 1994",
    }) do
        it(("is not %q"):format(text), function() assert.is_nil(read_http_date(text, NOW)) end)
    end

    it("is what the system's calendar says, on whatever day", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("dates: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        for _ = 1, 5000 do
            local time = math.random(0, 2 ^ 31) * 8 + math.random(0, 7)
            assert.equal(time, read_http_date(os.date("!%a, %d %b %Y %H:%M:%S GMT", time), NOW))
            assert.equal(time, read_http_date(os.date("!%a %b %e %H:%M:%S %Y", time), NOW))
        end
    end)
end)
