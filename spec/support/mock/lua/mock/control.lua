--- `/mock/…`: what a test asks the mock about what happened.

local cjson = require "cjson"
local pages = require "mock.pages"
local recorder = require "mock.recorder"

local control = {}

local function answer(document)
  -- An empty list would be written as an object.
  local body = next(document) == nil and "[]" or cjson.encode(document)
  ngx.header["Content-Type"] = "application/json"
  ngx.header["Content-Length"] = #body
  ngx.print(body)
end

--- Serves `requests`, `streams`, `page` and `behaviour`.
function control.serve()
  local uri = ngx.var.uri
  if uri == "/mock/requests" then return answer(recorder.find(ngx.req.get_uri_args())) end
  if uri == "/mock/streams" then return answer(recorder.counts()) end
  if uri == "/mock/page" then
    local path = ngx.var.arg_path
    ngx.req.read_body()
    if ngx.req.get_method() == "POST" then pages.set(path, ngx.req.get_body_data()) end
    return answer(pages.asked(path))
  end
  if uri == "/mock/behaviour" then
    ngx.req.read_body()
    recorder.set_override(ngx.req.get_body_data() or "")
    return answer({ behaviour = recorder.override() or cjson.null })
  end
  return ngx.exit(404)
end

return control
