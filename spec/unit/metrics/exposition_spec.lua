local aggregate_module = require("sluice.metrics.aggregate")
local exposition = require("sluice.metrics.exposition")
local registry_module = require("sluice.metrics.registry")
local memory_store = require("spec.unit.metrics.memory_store")
local parse = require("spec.unit.metrics.parse_exposition").parse

local function joined(declare)
    local registry = registry_module.create()
    local dropped = registry:counter("dropped_total", "Dropped."):with({})
    declare(registry)
    local aggregate = aggregate_module.join(registry, memory_store.new(), 1, dropped)
    aggregate_module.flush(aggregate)
    return aggregate
end

describe("metrics exposition", function()
    it("writes exactly this", function()
        local aggregate = joined(function(registry)
            registry:counter("things_total", "Things\\of\nall kinds.", { "kind" }):inc(3, { 'a"b\\c\nd' })
            registry:gauge("unused", "Never set.")
            registry:gauge("level", "Level."):set(-1.5)
            local histogram = registry:histogram("seconds", "Seconds.", { "kind" }, { 0.000005, 1 })
            histogram:observe(0.5, { "a" })
            histogram:observe(2, { "a" })
            registry:histogram("plain", "Plain.", nil, { 1 }):observe(1)
        end)
        assert.equal(table.concat({
            "# HELP dropped_total Dropped.",
            "# TYPE dropped_total counter",
            "dropped_total 0",
            "# HELP things_total Things\\\\of\\nall kinds.",
            "# TYPE things_total counter",
            'things_total{kind="a\\"b\\\\c\\nd"} 3',
            "# HELP level Level.",
            "# TYPE level gauge",
            "level -1.5",
            "# HELP seconds Seconds.",
            "# TYPE seconds histogram",
            'seconds_bucket{kind="a",le="5e-06"} 0',
            'seconds_bucket{kind="a",le="1"} 1',
            'seconds_bucket{kind="a",le="+Inf"} 2',
            'seconds_sum{kind="a"} 2.5',
            'seconds_count{kind="a"} 2',
            "# HELP plain Plain.",
            "# TYPE plain histogram",
            'plain_bucket{le="1"} 1',
            'plain_bucket{le="+Inf"} 1',
            "plain_sum 1",
            "plain_count 1",
            "",
        }, "\n"), table.concat(exposition.expose(aggregate)))
    end)

    it("writes numbers so that they read back as they were", function()
        local write = exposition.write_number
        assert.equal("NaN", write(0 / 0))
        assert.equal("+Inf", write(math.huge))
        assert.equal("-Inf", write(-math.huge))
        assert.equal("0", write(0))
        assert.equal("9007199254740991", write(9007199254740991))
        assert.equal("123456789012345", write(123456789012345))
        assert.equal("0.1", write(0.1))
        for _, value in ipairs({ 0.1 + 0.2, 1 / 3, 1e300, -2.5e-300, 2 ^ 60, 123456789.123456789 }) do
            assert.equal(value, tonumber(write(value)))
        end
    end)

    it("is served as text format 0.0.4", function()
        assert.equal("text/plain; version=0.0.4; charset=utf-8", exposition.CONTENT_TYPE)
    end)

    it("writes nothing when there is nothing", function()
        local registry = registry_module.create()
        local dropped = registry:counter("dropped_total", "Dropped."):with({})
        assert.same({}, exposition.expose(aggregate_module.join(registry, memory_store.new(), 1, dropped)))
    end)

    it("writes ten thousand series in small pieces with pauses, in the same order each time", function()
        local aggregate = joined(function(registry)
            local counter = registry:counter("things_total", "Things.", { "tenant", "model" })
            local histogram = registry:histogram("seconds", "Seconds.", { "tenant" }, { 0.1, 1, 10 })
            for tenant = 1, 95 do
                for model = 1, 100 do counter:inc(tenant * model, { "t" .. tenant, "m" .. model }) end
            end
            for tenant = 1, 500 do histogram:observe(tenant, { "t" .. tenant }) end
        end)
        local pauses = 0
        local pieces = exposition.expose(aggregate, function() pauses = pauses + 1 end)
        local text = table.concat(pieces)
        assert.is_true(pauses >= 40)
        for _, piece in ipairs(pieces) do assert.is_true(#piece < 65536) end
        local values = parse(text)
        assert.equal(95 * 100, values['things_total{tenant="t95",model="m100"}'])
        assert.equal(1, values['seconds_count{tenant="t500"}'])
        assert.equal(text, table.concat(exposition.expose(aggregate)))
    end)

    it("has a parser here that takes nothing but the format", function()
        local head = "# HELP a A.\n# TYPE a counter\n"
        assert.same({ a = 1 }, (parse(head .. "a 1\n")))
        for _, broken in ipairs({
            "a 1\n", head .. "a 1", head .. "b 1\n", head .. "a one\n", head .. "a 1\na 2\n", head .. "a{b=1} 1\n",
            head .. 'a{b="1} 1\n', head .. 'a{b="\\t"} 1\n', head .. 'a{b="1",b="2"} 1\n', head .. "a  1\n", head .. head,
            "# TYPE a counter\na 1\n", "# HELP a A.\n# TYPE a summary\na 1\n",
            '# HELP h H.\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n',
            '# HELP h H.\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 1\n',
            '# HELP h H.\n# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2\n',
            '# HELP h H.\n# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_count 1\n',
        }) do assert.has_error(function() parse(broken) end) end
    end)
end)
