/**
 * A model server for real clients: it speaks Anthropic's Messages and OpenAI's Responses and Chat Completions, and says what the last message
 * of the user asks for. So whatever else a client sends with it, or asks on the side, the test knows what comes.
 *
 * | the user's last line | what comes |
 * |---|---|
 * | `say WORDS` | the words |
 * | `run COMMAND` | a call of the client's tool for commands, or of its only tool; when its result is there, `it printed: RESULT` |
 * | `cut WORDS` | half of the words, and no more: the connection breaks; the words, from the second time on |
 * | `wait WORDS` | 429, to come back after a second; the words, from the second time on |
 */

import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import { listen } from "./listen.ts";

interface AgentRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: AgentBody;
}

/** What is read of a request's body. */
interface AgentBody {
  model?: string;
  stream?: boolean;
  messages?: Message[];
  input?: string | Message[];
  tools?: { name?: string; type?: string; function?: { name: string } }[];
}

interface Message {
  type?: string;
  role?: string;
  content?: string | { type: string; text?: string; content?: Message["content"] }[] | null;
  output?: Message["content"];
}

/** What is said: a text, or a call of a tool. */
interface Saying {
  text?: string;
  tool?: { name: string; command: string };
  cut?: boolean;
}

interface AgentUpstream {
  url: string;
  requests: AgentRequest[];
  stop(): Promise<void>;
}

/** All text of a message's content, in one piece. */
function textOf(content: Message["content"]): string {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? textOf(part.content)).join("\n");
}

/** What the client's tools said, if that is what it sends. */
function toolResult(message: Message): string | undefined {
  if (message.type?.endsWith("_call_output") === true) return textOf(message.output);
  if (message.role === "tool") return textOf(message.content);
  if (!Array.isArray(message.content)) return undefined;
  const result = message.content.find((part) => part.type === "tool_result");
  return result === undefined ? undefined : textOf(result.content);
}

/** The last thing that the user said, or a tool. */
function lastOf(body: AgentBody): { order: string; argument: string } {
  const messages = body.messages ?? (typeof body.input === "string" ? [{ role: "user", content: body.input }] : (body.input ?? []));
  for (const message of [...messages].reverse()) {
    const result = toolResult(message);
    if (result !== undefined) return { order: "result", argument: result };
    const lines = message.role === "user" ? textOf(message.content).split("\n") : [];
    const found = lines.map((line) => /^(say|run|cut|wait) (.+)$/.exec(line.trim())).findLast((match) => match !== null);
    if (found?.[1] !== undefined && found[2] !== undefined) return { order: found[1], argument: found[2] };
  }
  return { order: "say", argument: "nothing was asked" };
}

/** The client's tool for commands, as it calls it. */
function toolOf(body: AgentBody): string {
  const names = (body.tools ?? []).map((tool) => tool.name ?? tool.function?.name ?? tool.type ?? "");
  return ["Bash", "exec_command", "shell", "shell_command", "local_shell"].find((name) => names.includes(name)) ?? names[0] ?? "none";
}

function halves(text: string): string[] {
  const middle = Math.ceil(text.length / 2);
  return [text.slice(0, middle), text.slice(middle)].filter((half) => half !== "");
}

type Json = Record<string, unknown>;

function event(name: string | undefined, data: Json | string): string {
  return `${name === undefined ? "" : `event: ${name}\n`}data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;
}

/** Arguments for a tool, by the names that the tools of clients have for a command. */
function argumentsOf(name: string, command: string): Json {
  if (name === "shell" || name === "local_shell") return { command: ["bash", "-c", command] };
  if (name === "exec_command") return { cmd: command };
  return name === "Bash" ? { command, description: "a command" } : { command };
}

/** An answer in pieces of a stream, and whole. */
interface Written {
  pieces: string[];
  /** How many of them come before the second half of the text. */
  half: number;
  whole: Json;
}

function writeMessage(model: string, { text, tool }: Saying): Written {
  const usage = { input_tokens: 12, output_tokens: 5 };
  const block = tool === undefined ? { type: "text", text: "" } : { type: "tool_use", id: `toolu_${Date.now()}`, name: tool.name, input: {} };
  const input = tool === undefined ? {} : argumentsOf(tool.name, tool.command);
  const deltas =
    tool === undefined
      ? halves(text ?? "").map((half) => ({ type: "text_delta", text: half }))
      : halves(JSON.stringify(input)).map((half) => ({ type: "input_json_delta", partial_json: half }));
  const stop = tool === undefined ? "end_turn" : "tool_use";
  const message = { id: "msg_1", type: "message", role: "assistant", model, stop_reason: null, stop_sequence: null };
  const typed = (data: Json & { type: string }): string => event(data.type, data);
  return {
    pieces: [
      typed({ type: "message_start", message: { ...message, content: [], usage: { ...usage, output_tokens: 1 } } }),
      typed({ type: "content_block_start", index: 0, content_block: block }),
      ...deltas.map((delta) => typed({ type: "content_block_delta", index: 0, delta })),
      typed({ type: "content_block_stop", index: 0 }),
      typed({ type: "message_delta", delta: { stop_reason: stop, stop_sequence: null }, usage: { output_tokens: 5 } }),
      typed({ type: "message_stop" }),
    ],
    half: 3,
    whole: { ...message, content: [tool === undefined ? { ...block, text } : { ...block, input }], stop_reason: stop, usage },
  };
}

function writeResponse(model: string, { text, tool }: Saying): Written {
  const usage = {
    input_tokens: 12, input_tokens_details: { cached_tokens: 0 }, output_tokens: 5, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 17,
  };
  const id = `resp_${Date.now()}`;
  const item: Json =
    tool === undefined
      ? { id: "msg_1", type: "message", role: "assistant", status: "completed", content: [{ type: "output_text", text, annotations: [] }] }
      : {
          id: "fc_1", type: "function_call", call_id: `call_${Date.now()}`, status: "completed", name: tool.name,
          arguments: JSON.stringify(argumentsOf(tool.name, tool.command)),
        };
  const response = { id, object: "response", created_at: 1, model, status: "in_progress", output: [] as Json[], parallel_tool_calls: false, tools: [] };
  const whole = { ...response, status: "completed", output: [item], usage };
  const begun = { ...item, status: "in_progress", ...(tool === undefined ? { content: [] } : { arguments: "" }) };
  const deltas =
    tool === undefined
      ? [
          { type: "response.content_part.added", item_id: "msg_1", output_index: 0, content_index: 0, part: { type: "output_text", text: "", annotations: [] } },
          ...halves(text ?? "").map((delta) => ({ type: "response.output_text.delta", item_id: "msg_1", output_index: 0, content_index: 0, delta })),
          { type: "response.output_text.done", item_id: "msg_1", output_index: 0, content_index: 0, text },
        ]
      : [{ type: "response.function_call_arguments.done", item_id: "fc_1", output_index: 0, arguments: item.arguments }];
  const events: (Json & { type: string })[] = [
    { type: "response.created", response },
    { type: "response.output_item.added", output_index: 0, item: begun },
    ...deltas,
    { type: "response.output_item.done", output_index: 0, item },
    { type: "response.completed", response: whole },
  ];
  return { pieces: events.map((each, index) => event(each.type, { ...each, sequence_number: index })), half: 4, whole };
}

function writeChat(model: string, { text, tool }: Saying): Written {
  const usage = { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 };
  const call = { id: "call_1", type: "function", function: { name: tool?.name ?? "", arguments: JSON.stringify({ command: tool?.command ?? "" }) } };
  const stop = tool === undefined ? "stop" : "tool_calls";
  const deltas: Json[] = tool === undefined ? halves(text ?? "").map((content) => ({ content })) : [{ tool_calls: [{ index: 0, ...call }] }];
  const chunk = (choices: Json[], more: Json = {}): string =>
    event(undefined, { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model, choices, ...more });
  return {
    pieces: [
      ...deltas.map((delta, index) => chunk([{ index: 0, delta: index === 0 ? { role: "assistant", ...delta } : delta, finish_reason: null }])),
      chunk([{ index: 0, delta: {}, finish_reason: stop }]),
      chunk([], { usage }),
      event(undefined, "[DONE]"),
    ],
    half: 1,
    whole: {
      id: "chatcmpl-1", object: "chat.completion", created: 1, model, usage,
      choices: [{ index: 0, message: { role: "assistant", content: text ?? null, ...(tool && { tool_calls: [call] }) }, finish_reason: stop }],
    },
  };
}

/** Sends an answer; of one that is to be cut, the first half. */
function answer(response: ServerResponse, written: Written, stream: boolean, cut: boolean): void {
  const type = stream ? "text/event-stream" : "application/json";
  const body = stream ? written.pieces.join("") : JSON.stringify(written.whole);
  if (!cut) {
    response.writeHead(200, { "content-type": type });
    response.end(body);
    return;
  }
  const half = stream ? written.pieces.slice(0, written.half).join("") : body.slice(0, body.length / 2);
  response.writeHead(200, { "content-type": type, ...(stream ? {} : { "content-length": body.length }) });
  // Closed and not reset, so that what was sent arrives.
  response.write(half, () => setImmediate(() => response.destroy()));
}

/** Starts one on a free port of 127.0.0.1. */
async function startAgentUpstream(): Promise<AgentUpstream> {
  const requests: AgentRequest[] = [];
  const seen = new Set<string>();

  function handle(request: AgentRequest, response: ServerResponse): void {
    const { body, path } = request;
    const { argument, order } = lastOf(body);
    const first = !seen.has(argument);
    seen.add(argument);
    if (order === "wait" && first) {
      response.writeHead(429, { "content-type": "application/json", "retry-after": "1" });
      const error = { type: "rate_limit_error", message: "Slow down." };
      response.end(JSON.stringify(path === "/v1/messages" ? { type: "error", error } : { error: { ...error, code: "rate_limit_exceeded", param: null } }));
      return;
    }
    const write = { "/v1/messages": writeMessage, "/v1/responses": writeResponse, "/v1/chat/completions": writeChat }[path];
    if (write === undefined) {
      response.writeHead(404, { "content-type": "application/json" });
      response.end('{"error":{"message":"not here","type":"not_found_error"}}');
      return;
    }
    const saying: Saying =
      order === "run" ? { tool: { name: toolOf(body), command: argument } } : { text: order === "result" ? `it printed: ${argument.trim()}` : argument };
    answer(response, write(body.model ?? "", saying), body.stream === true, order === "cut" && first);
  }

  const server = createServer((incoming, response) => {
    const parts: Buffer[] = [];
    incoming.on("error", () => undefined);
    response.on("error", () => undefined);
    incoming.on("data", (data: Buffer) => parts.push(data));
    incoming.on("end", () => {
      const text = Buffer.concat(parts).toString();
      const { headers, method = "", url = "" } = incoming;
      const request = { method, path: url.replace(/\?.*/, ""), headers, body: (text === "" ? {} : JSON.parse(text)) as AgentBody };
      requests.push(request);
      handle(request, response);
    });
  });
  server.keepAliveTimeout = 60000;
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export { startAgentUpstream };
export type { AgentRequest, AgentUpstream };
