local period = require("sluice.limit.period")

local function utc(text)
    local year, month, day, hour, minute, second = text:match("(%d+)-(%d+)-(%d+) (%d+):(%d+):(%d+)")
    local handle = io.popen(("date -u -d '%s-%s-%s %s:%s:%s' +%%s"):format(year, month, day, hour, minute, second))
    local seconds = tonumber(handle:read("*a"))
    handle:close()
    return seconds
end

describe("a budget's period", function()
    for _, case in ipairs({
        { "day", "2024-02-29 23:59:59", "2024-02-29 00:00:00", "2024-03-01 00:00:00" },
        { "day", "2024-03-01 00:00:00", "2024-03-01 00:00:00", "2024-03-02 00:00:00" },
        { "week", "2026-11-21 12:00:00", "2026-11-16 00:00:00", "2026-11-23 00:00:00" },
        { "week", "2026-11-16 00:00:00", "2026-11-16 00:00:00", "2026-11-23 00:00:00" },
        { "week", "2026-11-15 23:59:59", "2026-11-09 00:00:00", "2026-11-16 00:00:00" },
        { "week", "2025-01-01 08:00:00", "2024-12-30 00:00:00", "2025-01-06 00:00:00" },
        { "month", "2024-02-29 23:59:59", "2024-02-01 00:00:00", "2024-03-01 00:00:00" },
        { "month", "2023-02-28 00:00:01", "2023-02-01 00:00:00", "2023-03-01 00:00:00" },
        { "month", "2026-12-31 23:59:59", "2026-12-01 00:00:00", "2027-01-01 00:00:00" },
        { "month", "2027-01-01 00:00:00", "2027-01-01 00:00:00", "2027-02-01 00:00:00" },
    }) do
        it(case[1] .. " of " .. case[2], function()
            local time = utc(case[2])
            assert.equal(utc(case[3]), period.period_start(case[1], time + 0.5))
            assert.equal(utc(case[4]), period.period_end(case[1], time + 0.5))
        end)
    end
end)
