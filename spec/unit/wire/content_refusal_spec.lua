local content_refusal = require("sluice.wire.content_refusal")

local says = content_refusal.is_content_refusal

describe("an error that is about what the request says", function()
    for _, body in ipairs({
        -- xAI
        [[{"code":"The caller does not have permission to execute the specified operation",]] ..
            [["error":"Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"}]],
        [[{"code":"permission-denied","error":"Content violates usage guidelines. "}]],
        -- OpenRouter
        [[{"error":{"code":403,"message":"Your input was flagged","metadata":{"reasons":["violence"],"flagged_input":"a","provider_name":"b"}}}]],
        [[{"error":{"code":403,"message":"a","metadata":{"error_type":"content_policy_violation"}}}]],
        -- OpenAI, Azure
        [[{"error":{"message":"a","type":"invalid_request_error","param":"prompt","code":"content_filter"}}]],
        [[{"error":{"message":"a","type":null,"code":"content_policy_violation"}}]],
        [[{"error":{"code":"Forbidden","message":"a","innererror":{"code":"ResponsibleAIPolicyViolation"}}}]],
        [[{"statusCode":403,"message":"Request failed content safety check."}]],
        -- Stability AI, Alibaba, Volcengine Ark, Zhipu
        [[{"id":"a","name":"content_moderation","errors":["b"]}]],
        [[{"code":"DataInspectionFailed","message":"a"}]],
        [[{"error":{"code":"InputTextSensitiveContentDetected","message":"a"}}]],
        [[{"error":{"code":"1301","message":"a"}}]],
    }) do
        it(body, function() assert.is_true(says(body)) end)
    end

    it("stands in the table by a word of each provider", function()
        for _, refusals in ipairs(content_refusal.REFUSALS) do
            for _, word in ipairs(refusals.words or {}) do
                assert.is_true(says(('{"error":{"code":"%s"}}'):format(word)), word)
                assert.is_true(says(('{"error":{"type":"%s"}}'):format(word:lower())), word)
                assert.is_true(says(('{"code":"%s","message":"a"}'):format(word)), word)
            end
        end
    end)
end)

describe("an error that is about the account, or says nothing", function()
    for _, body in ipairs({
        "", "  ", "<html>content_filter</html>", "content_filter", "[]", "{}", '{"error":null}', '{"error":{"code":"content_filter"}',
        [[{"code":"The caller does not have permission to execute the specified operation","error":"The API key is blocked."}]],
        [[{"code":"permission-denied","error":"Access to the chat endpoint is denied"}]],
        [[{"error":{"code":403,"message":"Key limit exceeded","metadata":{"provider_name":"b"}}}]],
        [[{"error":{"message":"content_filter","type":"permission_error","code":"unsupported_country_region_territory"}}]],
        [[{"type":"error","error":{"type":"permission_error","message":"Your API key does not have permission to use the model."}}]],
        [[{"error":{"code":403,"message":"The caller does not have permission","status":"PERMISSION_DENIED"}}]],
        [[{"error":{"code":"","type":"","message":"content violates usage guidelines"}}]],
    }) do
        it(("%q"):format(body), function() assert.is_false(says(body)) end)
    end
end)
