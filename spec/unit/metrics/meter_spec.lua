local aggregate_module = require("sluice.metrics.aggregate")
local declare_all = require("sluice.metrics.catalogue").declare_all
local exposition = require("sluice.metrics.exposition")
local meter_module = require("sluice.metrics.meter")
local memory_store = require("spec.unit.metrics.memory_store")
local parse = require("spec.unit.metrics.parse_exposition").parse

local function tokens(input, cached_input, output, cache_write, cache_write_1h)
    return { input = input, cached_input = cached_input, output = output, cache_write = cache_write or 0, cache_write_1h = cache_write_1h or 0 }
end

describe("metrics catalogue and meters", function()
    local catalogue, meters, aggregate

    before_each(function()
        catalogue = declare_all()
        meters = meter_module.create_meters(catalogue)
        aggregate = aggregate_module.join(catalogue.registry, memory_store.new(), 1, catalogue.metrics_dropped:with({}))
    end)

    local function scrape()
        aggregate_module.flush(aggregate)
        return parse(table.concat(exposition.expose(aggregate)))
    end

    it("declares names and labels that the format allows, each once, and buckets in order", function()
        local seen = {}
        for _, metric in ipairs(catalogue.registry.metrics) do
            assert.is_nil(seen[metric.name])
            seen[metric.name] = true
            assert.truthy(metric.name:match("^[%a_][%w_]*$"))
            assert.truthy(#metric.help > 0)
            for _, label in ipairs(metric.labels) do
                assert.truthy(label:match("^[%a_][%w_]*$"))
                assert.are_not.equal("le", label)
            end
            for index = 2, #metric.bounds do assert.is_true(metric.bounds[index] > metric.bounds[index - 1]) end
            assert.equal(metric.kind == "histogram", #metric.bounds > 0)
            assert.equal(metric.kind == "counter", metric.name:match("_total$") ~= nil)
        end
    end)

    it("has the public names with their labels", function()
        local expected = {
            sluice_requests_total = "tenant,model,code",
            sluice_request_duration_seconds = "model",
            sluice_time_to_first_token_seconds = "model",
            sluice_overhead_seconds = "phase",
            sluice_tokens_total = "tenant,model,type",
            sluice_refusals_total = "tenant,code",
            sluice_upstream_requests_total = "pool,endpoint,code",
            sluice_streams_truncated_total = "pool,cause",
            sluice_cost_usd_total = "tenant,model",
            sluice_guard_hits_total = "guard,action,where",
            sluice_guard_held_seconds = "",
            sluice_settlements_dropped_total = "", sluice_store_duration_seconds = "", sluice_store_up = "",
            sluice_config_last_reload_success = "",
            sluice_journal_lost_total = "", sluice_journal_passed_over_total = "",
            sluice_metrics_dropped_total = "",
            gen_ai_client_token_usage = "gen_ai_operation_name,gen_ai_request_model,gen_ai_token_type",
            gen_ai_server_time_to_first_token = "gen_ai_operation_name,gen_ai_request_model",
        }
        local found = {}
        for _, metric in ipairs(catalogue.registry.metrics) do found[metric.name] = table.concat(metric.labels, ",") end
        assert.same(expected, found)
    end)

    it("shows nothing but zeros before the first request", function()
        assert.same({
            sluice_journal_lost_total = 0, sluice_journal_passed_over_total = 0, sluice_metrics_dropped_total = 0,
            sluice_settlements_dropped_total = 0,
        }, (scrape()))
    end)

    it("accounts for a request", function()
        local meter = meter_module.request_meter(meters, "chat", "acme", "large")
        meter_module.count_request(meter, 200, 1.5)
        meter_module.count_first_token(meter, 0.03)
        meter_module.count_tokens(meters, meter, tokens(100, 40, 17), 2500000)
        meter_module.count_request(meter, 499, 0.001)
        local values = scrape()
        assert.equal(1, values['sluice_requests_total{tenant="acme",model="large",code="200"}'])
        assert.equal(1, values['sluice_requests_total{tenant="acme",model="large",code="499"}'])
        assert.equal(2, values['sluice_request_duration_seconds_count{model="large"}'])
        assert.equal(1.501, values['sluice_request_duration_seconds_sum{model="large"}'])
        assert.equal(0, values['sluice_time_to_first_token_seconds_bucket{model="large",le="0.025"}'])
        assert.equal(1, values['sluice_time_to_first_token_seconds_bucket{model="large",le="0.05"}'])
        assert.equal(100, values['sluice_tokens_total{tenant="acme",model="large",type="input"}'])
        assert.equal(40, values['sluice_tokens_total{tenant="acme",model="large",type="cached_input"}'])
        assert.equal(17, values['sluice_tokens_total{tenant="acme",model="large",type="output"}'])
        assert.equal(0.0025, values['sluice_cost_usd_total{tenant="acme",model="large"}'])
        local usage = 'gen_ai_client_token_usage_%s{gen_ai_operation_name="chat",gen_ai_request_model="large",gen_ai_token_type="%s"%s}'
        assert.equal(100, values[usage:format("sum", "input", "")])
        assert.equal(0, values[usage:format("bucket", "output", ',le="16"')])
        assert.equal(1, values[usage:format("bucket", "output", ',le="64"')])
        assert.equal(1, values[usage:format("bucket", "output", ',le="67108864"')])
        assert.equal(1, values['gen_ai_server_time_to_first_token_count{gen_ai_operation_name="chat",gen_ai_request_model="large"}'])
    end)

    it("tells apart what was written to a cache, of a tenant that has any", function()
        local meter = meter_module.request_meter(meters, "chat", "acme", "large")
        meter_module.count_tokens(meters, meter, tokens(100, 0, 5), 0)
        local series = 'sluice_tokens_total{tenant="acme",model="large",type="%s"}'
        assert.is_nil(scrape()[series:format("cache_write")])
        meter_module.count_tokens(meters, meter, tokens(100, 10, 5, 50, 0), 0)
        assert.is_nil(scrape()[series:format("cache_write_1h")])
        meter_module.count_tokens(meters, meter, tokens(100, 10, 5, 40, 30), 0)
        local values = scrape()
        assert.same({ 300, 20, 90, 30, 15 }, {
            values[series:format("input")], values[series:format("cached_input")], values[series:format("cache_write")],
            values[series:format("cache_write_1h")], values[series:format("output")],
        })
    end)

    it("keeps tenants, models and operations apart, and gives the same meter again", function()
        local request_meter = meter_module.request_meter
        local meter = request_meter(meters, "chat", "acme", "large")
        assert.equal(meter, request_meter(meters, "chat", "acme", "large"))
        for _, other in ipairs({ { "chat", "acme", "small" }, { "chat", "other", "large" }, { "embeddings", "acme", "large" } }) do
            local second = request_meter(meters, other[1], other[2], other[3])
            assert.are_not.equal(meter, second)
            meter_module.count_tokens(meters, second, tokens(1, 0, 1), 0)
        end
        local values = scrape()
        assert.is_nil(values['sluice_tokens_total{tenant="acme",model="large",type="cached_input"}'])
        assert.equal(1, values['sluice_tokens_total{tenant="acme",model="small",type="input"}'])
        -- the model's histograms are shared by its tenants
        assert.equal(meter.duration, request_meter(meters, "chat", "other", "large").duration)
    end)

    it("makes no new series for a request like one before", function()
        local function request()
            local meter = meter_module.request_meter(meters, "chat", "acme", "large")
            meter_module.count_request(meter, 200, 1)
            meter_module.count_first_token(meter, 1)
            meter_module.count_tokens(meters, meter, tokens(1, 1, 1, 1, 1), 0)
            meter_module.count_overhead(meters, "access", 0.00001)
            meter_module.count_refusal(meters, "acme", "model_not_found")
            meter_module.count_truncated(meters, "gpu", "closed")
            local endpoint = meter_module.endpoint_meter(meters, "gpu", "http://10.0.0.11:8000")
            meter_module.count_attempt(endpoint, 200)
        end
        request()
        local before = #catalogue.registry.series
        request()
        assert.equal(before, #catalogue.registry.series)
        local values = scrape()
        assert.equal(2, values['sluice_requests_total{tenant="acme",model="large",code="200"}'])
        assert.equal(2, values['sluice_refusals_total{tenant="acme",code="model_not_found"}'])
        assert.equal(2, values['sluice_streams_truncated_total{pool="gpu",cause="closed"}'])
        assert.equal(2, values['sluice_overhead_seconds_count{phase="access"}'])
    end)

    it("counts attempts", function()
        local endpoint = meter_module.endpoint_meter(meters, "gpu", "http://10.0.0.11:8000")
        meter_module.count_attempt(endpoint, 0)
        meter_module.count_attempt(endpoint, 200)
        local values = scrape()
        assert.equal(1, values['sluice_upstream_requests_total{pool="gpu",endpoint="http://10.0.0.11:8000",code="200"}'])
        assert.equal(1, values['sluice_upstream_requests_total{pool="gpu",endpoint="http://10.0.0.11:8000",code="0"}'])
    end)

    it("counts refusals of callers that were not identified", function()
        meter_module.count_refusal(meters, "", "invalid_api_key")
        assert.equal(1, scrape()['sluice_refusals_total{tenant="",code="invalid_api_key"}'])
    end)
end)
