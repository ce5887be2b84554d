-- What of a request reaches the sink. In the bodies below every string that a model reads in any case holds a word that begins with
-- SEEN; every one that some server's template may print, and a guard has to see, one with ASKED; every one that no guard reads,
-- one with KEPT. Each word stands for one place.

local request_shape = require("sluice.wire.request_shape")
local walking = require("spec.unit.wire.walking")

local function text_of(api, body, guarded)
    return assert(walking.text_of(request_shape.shape_of(api, guarded or false), body))
end

local BODIES = {
    {
        api = "chat",
        name = "plain messages",
        body = [==[{
            "model": "KEPT_model", "user": "KEPT_user", "service_tier": "ASKED_tier", "safety_identifier": "KEPT_safety",
            "prompt_cache_key": "KEPT_cache_key", "reasoning_effort": "ASKED_effort", "verbosity": "ASKED_verbosity",
            "modalities": ["ASKED_modality"],
            "stream": true, "stream_options": {"include_usage": true, "SEEN_option_name": "SEEN_option"},
            "messages": [
                {"role": "ASKED_role", "content": "SEEN_system", "name": "SEEN_name"},
                {"role": "user", "content": "SEEN_user_string"},
                {"role": "user", "content": "escaped: S\u0045EN_escaped"},
                {"role": "assistant", "content": "SEEN_assistant", "refusal": "SEEN_refusal", "reasoning_content": "SEEN_reasoning"},
                {"content": "SEEN_before_role", "role": "user"},
                {"role": "user", "content": {"type": "text", "text": "SEEN_content_object"}},
                {"role": "developer", "content": [{"type": "text", "text": "SEEN_developer_part"}]}
            ]
        }]==],
    },
    {
        api = "chat",
        name = "content parts",
        body = [==[{"model": "m", "messages": [{"role": "user", "content": [
            {"type": "ASKED_type", "text": "SEEN_text_part"},
            {"text": "SEEN_text_before_type", "type": "text"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,KEPT_image", "detail": "ASKED_detail"}},
            {"type": "image_url", "image_url": "KEPT_image_string"},
            {"type": "input_audio", "input_audio": {"data": "KEPT_audio", "format": "ASKED_format"}},
            {"type": "file", "file": {"file_data": "KEPT_file", "file_id": "KEPT_file_id", "filename": "SEEN_filename"}},
            {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,KEPT_video"}},
            {"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64,KEPT_audio_url"}},
            {"type": "refusal", "refusal": "SEEN_refusal_part"},
            "SEEN_string_part",
            {"type": "new", "new": {"deep": [{"er": "SEEN_unknown_deep"}]}, "SEEN_unknown_name": 1}
        ]}]}]==],
    },
    {
        api = "chat",
        name = "tools",
        body = [==[{"model": "m",
            "tools": [
                {"type": "ASKED_tool_type", "function": {"name": "SEEN_function", "description": "SEEN_description", "strict": true, "parameters": {
                    "type": "object", "description": "SEEN_schema_description", "required": ["SEEN_required"],
                    "properties": {
                        "SEEN_property": {"type": "string", "enum": ["SEEN_enum"], "default": "SEEN_default", "examples": [["SEEN_example"]]},
                        "nested": {"type": "object", "properties": {"SEEN_nested_property": {"title": "SEEN_title", "const": "SEEN_const"}}},
                        "type": {"description": "SEEN_property_called_type"},
                        "id": {"description": "SEEN_property_called_id"},
                        "model": {"description": "SEEN_property_called_model"}
                    },
                    "$defs": {"SEEN_definition": {"pattern": "SEEN_pattern"}}}}},
                {"type": "custom", "custom": {"name": "SEEN_custom", "format": {"type": "grammar", "grammar": {"definition": "SEEN_grammar"}}}}
            ],
            "functions": [{"name": "SEEN_old_function", "parameters": {"properties": {"SEEN_old_property": {}}}}],
            "tool_choice": {"type": "ASKED_choice_type", "function": {"name": "SEEN_choice"}},
            "function_call": {"name": "SEEN_function_call"},
            "messages": [
                {"role": "assistant", "tool_calls": [
                    {"id": "ASKED_call_id", "type": "ASKED_call_type", "index": 0,
                     "function": {"name": "SEEN_called", "arguments": "{\"city\":\"SEEN_argument\"}"}},
                    {"id": "c", "type": "custom", "custom": {"name": "SEEN_called_custom", "input": "SEEN_custom_input"}}
                ]},
                {"role": "assistant", "function_call": {"name": "SEEN_old_called", "arguments": "SEEN_old_argument"}},
                {"role": "tool", "tool_call_id": "ASKED_tool_call_id", "content": "SEEN_result"},
                {"role": "tool", "tool_call_id": "x", "content": [{"type": "text", "text": "SEEN_result_part"}]},
                {"role": "assistant", "audio": {"id": "ASKED_audio_id"}}
            ]}]==],
    },
    {
        api = "chat",
        name = "the other members",
        body = [==[{"model": "m", "messages": [],
            "response_format": {"type": "ASKED_format_type", "json_schema": {"name": "SEEN_schema_name", "description": "SEEN_schema_text",
                "schema": {"properties": {"SEEN_schema_property": {"enum": ["SEEN_schema_enum"]}}}}},
            "stop": ["SEEN_stop"], "prediction": {"type": "content", "content": [{"type": "text", "text": "SEEN_prediction"}]},
            "metadata": {"SEEN_metadata_name": "SEEN_metadata"}, "web_search_options": {"user_location": {"approximate": {"city": "SEEN_city"}}},
            "chat_template": "SEEN_template", "chat_template_kwargs": {"SEEN_template_name": "SEEN_template_value"},
            "documents": [{"title": "SEEN_document_title", "text": "SEEN_document"}],
            "guided_choice": ["SEEN_guided_choice"], "guided_json": {"properties": {"SEEN_guided_property": {}}}, "guided_regex": "SEEN_regex",
            "guided_grammar": "SEEN_guided_grammar", "structured_outputs": {"choice": ["SEEN_structured"]},
            "SEEN_member": "SEEN_unknown", "x": {"y": [[{"SEEN_name_below": ["SEEN_below"]}]], "model": "SEEN_model_below", "id": "SEEN_id_below"},
            "Messages": [{"Content": "SEEN_other_case"}], "prompt": "SEEN_prompt_in_chat"}]==],
    },
    {
        api = "completions",
        name = "all",
        body = [==[{"model": "KEPT_model", "user": "KEPT_user", "prompt": ["SEEN_prompt", ["SEEN_inner_prompt"]], "suffix": "SEEN_suffix",
            "stop": "SEEN_stop", "echo": true, "guided_regex": "SEEN_regex", "service_tier": "ASKED_tier",
            "SEEN_member": {"messages": [{"content": "SEEN_unknown", "role": "SEEN_role_below"}]}}]==],
    },
    { api = "completions", name = "a prompt in one string", body = [==[{"model": "m", "prompt": "SEEN_prompt"}]==] },
    { api = "completions", name = "a prompt that is an object", body = [==[{"model": "m", "prompt": {"text": "SEEN_prompt"}}]==] },
    {
        api = "embeddings",
        name = "all",
        body = [==[{"model": "KEPT_model", "user": "KEPT_user", "encoding_format": "ASKED_encoding", "input": ["SEEN_input", ["SEEN_inner"]],
            "messages": [{"role": "user", "content": "SEEN_message"}], "SEEN_member": "SEEN_unknown"}]==],
    },
    { api = "embeddings", name = "an input in one string", body = [==[{"model": "m", "input": "SEEN_input"}]==] },
    {
        api = "embeddings",
        name = "an input of objects",
        body = [==[{"model": "m", "input": [{"text": "SEEN_text"}, {"SEEN_name": ["SEEN_deep"]}]}]==],
    },
    {
        api = "responses",
        name = "input items",
        body = [==[{"model": "KEPT_model", "user": "KEPT_user", "instructions": "SEEN_instructions", "previous_response_id": "KEPT_previous",
            "include": ["ASKED_include"], "truncation": "ASKED_truncation", "input": [
            {"type": "ASKED_item_type", "id": "ASKED_item_id", "status": "ASKED_status", "role": "ASKED_role", "content": "SEEN_string"},
            {"role": "user", "content": [
                {"type": "input_text", "text": "SEEN_input_text"},
                {"type": "input_image", "image_url": "data:image/png;base64,KEPT_image", "detail": "ASKED_detail", "file_id": "KEPT_file_id"},
                {"type": "input_file", "file_data": "KEPT_file", "file_url": "KEPT_file_url", "filename": "SEEN_filename"}]},
            {"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": "SEEN_output_text", "annotations": [{"type": "url_citation", "title": "SEEN_annotation"}]},
                {"type": "refusal", "refusal": "SEEN_refusal"}]},
            {"type": "function_call", "call_id": "ASKED_call_id", "name": "SEEN_called", "arguments": "{\"a\":\"SEEN_argument\"}"},
            {"type": "function_call_output", "call_id": "c", "output": "SEEN_output"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "SEEN_output_part"}]},
            {"type": "custom_tool_call", "name": "SEEN_custom", "input": "SEEN_custom_input"},
            {"type": "custom_tool_call_output", "output": "SEEN_custom_output"},
            {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,KEPT_screenshot"}},
            {"type": "image_generation_call", "result": "KEPT_generated_image"},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "SEEN_summary"}], "encrypted_content": "KEPT_encrypted",
             "content": [{"type": "reasoning_text", "text": "SEEN_reasoning"}]},
            {"type": "local_shell_call", "action": {"command": ["SEEN_command"], "env": {"SEEN_variable": "SEEN_value"}}},
            {"type": "code_interpreter_call", "code": "SEEN_code", "outputs": [{"logs": "SEEN_logs"}]},
            {"type": "file_search_call", "queries": ["SEEN_query"], "results": [{"text": "SEEN_found"}]},
            {"type": "mcp_call", "arguments": "SEEN_mcp_argument", "output": "SEEN_mcp_output", "error": "SEEN_mcp_error"},
            {"type": "item_reference", "id": "ASKED_reference"},
            {"type": "new", "deep": [{"SEEN_unknown_name": {"x": "SEEN_unknown"}}]}
        ]}]==],
    },
    { api = "responses", name = "an input in one string", body = [==[{"model": "m", "input": "SEEN_input"}]==] },
    {
        api = "responses",
        name = "tools and the other members",
        body = [==[{"model": "m", "input": [], "tools": [
                {"type": "ASKED_tool_type", "name": "SEEN_function", "description": "SEEN_description",
                 "parameters": {"properties": {"SEEN_property": {"type": "string", "enum": ["SEEN_enum"]}}}},
                {"type": "mcp", "server_label": "SEEN_server", "allowed_tools": ["SEEN_allowed"]}],
            "tool_choice": {"type": "ASKED_choice_type", "name": "SEEN_choice"},
            "text": {"format": {"type": "json_schema", "name": "SEEN_format", "schema": {"properties": {"SEEN_format_property": {}}}}},
            "prompt": {"id": "p", "variables": {"SEEN_variable_name": "SEEN_variable", "part": {"type": "input_text", "text": "SEEN_variable_part"}}},
            "metadata": {"k": "SEEN_metadata"}, "SEEN_member": [{"a": {"b": "SEEN_unknown"}}]}]==],
    },
    {
        api = "messages",
        name = "messages",
        body = [==[{"model": "KEPT_model", "max_tokens": 16, "metadata": {"user_id": "KEPT_user", "SEEN_metadata_name": "SEEN_metadata"},
            "service_tier": "ASKED_tier", "system": [{"type": "text", "text": "SEEN_system_part", "cache_control": {"type": "ephemeral"}}],
            "stop_sequences": ["SEEN_stop"], "messages": [
            {"role": "ASKED_role", "content": "SEEN_string"},
            {"role": "user", "content": [
                {"type": "ASKED_type", "text": "SEEN_text_part"},
                {"type": "image", "source": {"type": "base64", "media_type": "ASKED_media_type", "data": "KEPT_image"}},
                {"type": "image", "source": {"type": "url", "url": "KEPT_image_url"}},
                {"type": "image", "source": {"type": "file", "file_id": "KEPT_file_id"}},
                {"type": "document", "title": "SEEN_title", "context": "SEEN_context", "citations": {"enabled": true},
                 "source": {"type": "base64", "media_type": "application/pdf", "data": "KEPT_pdf"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "SEEN_plain_text_document"}},
                {"type": "document", "source": {"data": "SEEN_plain_text_before_type", "media_type": "text/plain", "type": "text"}},
                {"type": "document", "source": {"type": "content", "content": "SEEN_content_document"}},
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "SEEN_content_document_part"}]}},
                {"type": "search_result", "source": "SEEN_search_source", "title": "SEEN_search_title",
                 "content": [{"type": "text", "text": "SEEN_search_text"}]}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "SEEN_thinking", "signature": "KEPT_signature"},
                {"type": "redacted_thinking", "data": "KEPT_redacted"},
                {"type": "tool_use", "id": "ASKED_use_id", "name": "SEEN_used", "input": {"SEEN_input_name": "SEEN_input", "id": "SEEN_id_input",
                 "type": "SEEN_type_input", "source": {"data": "SEEN_data_input"}, "list": [["SEEN_list_input"]]}},
                {"type": "server_tool_use", "id": "ASKED_server_use", "name": "web_search", "input": {"query": "SEEN_query"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "ASKED_result_id", "content": "SEEN_result"},
                {"type": "tool_result", "tool_use_id": "x", "content": [{"type": "text", "text": "SEEN_result_part"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "KEPT_result_image"}}]},
                {"type": "web_search_tool_result", "tool_use_id": "x", "content": [
                    {"type": "web_search_result", "title": "SEEN_page_title", "encrypted_content": "KEPT_encrypted"}]},
                {"type": "new", "SEEN_unknown_name": {"deep": ["SEEN_unknown"]}}]}
        ]}]==],
    },
    { api = "messages", name = "a system prompt in one string", body = [==[{"model": "m", "system": "SEEN_system"}]==] },
    {
        api = "messages",
        name = "tools and the other members",
        body = [==[{"model": "m", "messages": [], "tools": [
                {"type": "ASKED_tool_type", "name": "SEEN_tool", "description": "SEEN_description",
                 "input_schema": {"type": "object", "properties": {"SEEN_property": {"description": "SEEN_property_text"}}},
                 "input_examples": [{"SEEN_example_name": "SEEN_example"}]}],
            "tool_choice": {"type": "ASKED_choice_type", "name": "SEEN_choice"}, "output_format": {"schema": {"properties": {"SEEN_output": {}}}},
            "mcp_servers": [{"type": "url", "name": "SEEN_server"}], "stream_options": {"include_usage": "SEEN_not_an_option_here"},
            "SEEN_member": {"x": [{"y": "SEEN_unknown"}]}}]==],
    },
}

for _, case in ipairs(BODIES) do
    describe(case.api .. ", " .. case.name .. ":", function()
        local plain, guarded = text_of(case.api, case.body, false), text_of(case.api, case.body, true)
        local decoded = case.body:gsub("S\\u0045EN", "SEEN")
        for sort, place in decoded:gmatch("([A-Z]+)_([%l_]+)") do
            local word = "%f[%w_]" .. sort .. "_" .. place .. "%f[^%w_]"
            it(place .. (sort == "SEEN" and " is counted" or " is not counted"), function()
                (sort == "SEEN" and assert.matches or assert.not_matches)(word, plain)
            end)
            it(place .. (sort == "KEPT" and " is not guarded" or " is guarded"), function()
                (sort == "KEPT" and assert.not_matches or assert.matches)(word, guarded)
            end)
        end
    end)
end

-- A place is text unless the shape says otherwise: also when the client writes another kind of value there than
-- the API's reference has, since some server may take it.
describe("text where the API has another kind of value", function()
    for name, case in pairs({
        ["messages in one string"] = { "chat", '{"model":"m","messages":"SEEN"}' },
        ["messages in an object"] = { "chat", '{"model":"m","messages":{"content":"SEEN"}}' },
        ["a message that is a string"] = { "chat", '{"model":"m","messages":["SEEN"]}' },
        ["a message that is an array"] = { "chat", '{"model":"m","messages":[["SEEN"]]}' },
        ["a part that is an array"] = { "chat", '{"model":"m","messages":[{"content":[["SEEN"]]}]}' },
        ["a part's text that is an array"] = { "chat", '{"model":"m","messages":[{"content":[{"type":"text","text":["SEEN"]}]}]}' },
        ["tools in one string"] = { "chat", '{"model":"m","messages":[],"tools":"SEEN"}' },
        ["a tool that is an array"] = { "chat", '{"model":"m","messages":[],"tools":[["SEEN"]]}' },
        ["a tool call that is an array"] = { "chat", '{"model":"m","messages":[{"tool_calls":[["SEEN"]]}]}' },
        ["a response format that is an array"] = { "chat", '{"model":"m","messages":[],"response_format":["SEEN"]}' },
        ["a role that is an object"] = { "chat", '{"model":"m","messages":[{"role":{"x":"SEEN"}}]}' },
        ["a role that is an array"] = { "chat", '{"model":"m","messages":[{"role":["SEEN"]}]}' },
        ["a setting that is an object"] = { "chat", '{"model":"m","messages":[],"reasoning_effort":{"x":"SEEN"}}' },
        ["a prompt of objects"] = { "completions", '{"model":"m","prompt":[{"x":["SEEN"]}]}' },
        ["an input that is an object"] = { "responses", '{"model":"m","input":{"content":"SEEN"}}' },
        ["an input item that is an array"] = { "responses", '{"model":"m","input":[["SEEN"]]}' },
        ["a system prompt that is an object"] = { "messages", '{"model":"m","system":{"text":"SEEN"}}' },
        ["a source that is an array"] = { "messages", '{"model":"m","messages":[{"content":[{"source":["SEEN"]}]}]}' },
    }) do
        it("reaches the sink: " .. name, function() assert.matches("SEEN", text_of(case[1], case[2])) end)
    end
end)

describe("what every body has", function()
    -- A listed word such as "user" or "content" must not match in each request there is.
    for api, body in pairs({
        chat = '{"model":"m","stream":true,"max_tokens":5,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]}',
        completions = '{"model":"m","prompt":"Hi","max_tokens":5}',
        embeddings = '{"model":"m","input":"Hi"}',
        responses = '{"model":"m","input":[{"role":"user","content":"Hi"}],"max_output_tokens":5}',
        messages = '{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}',
    }) do
        it("is not taken for text: " .. api, function() assert.equal("Hi\n", text_of(api, body)) end)
    end
end)
