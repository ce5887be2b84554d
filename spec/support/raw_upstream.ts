/** An upstream that says exactly the bytes it is told to, and keeps every byte that it gets. */

import { createServer, type Socket } from "node:net";
import { listen } from "./listen.ts";

interface RawUpstream {
  url: string;
  /** Everything that has come, over all connections. */
  received(): string;
  /** Connections that are open. */
  open(): number;
  stop(): Promise<void>;
}

/**
 * Starts one on a free port of 127.0.0.1. `answer` is written as soon as a request's header has come; with `close` the
 * connection ends behind it, else it stays open.
 */
async function startRawUpstream(answer: string, close: boolean): Promise<RawUpstream> {
  const sockets = new Set<Socket>();
  let received = "";
  const server = createServer((socket) => {
    sockets.add(socket);
    let answered = false;
    let head = "";
    socket.on("data", (data: Buffer) => {
      const text = data.toString("latin1");
      received += text;
      head += text;
      if (answered || !head.includes("\r\n\r\n")) return;
      answered = true;
      if (close) socket.end(answer, "latin1");
      else socket.write(answer, "latin1");
    });
    // The peer may go whenever it likes.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    received: () => received,
    open: () => sockets.size,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export { startRawUpstream };
export type { RawUpstream };
