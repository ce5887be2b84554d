/** A name server (RFC 1035) that knows one address for every name, or is silent. */

import { createSocket } from "node:dgram";

interface NameServer {
  port: number;
  /** Says nothing to anybody. */
  silent: boolean;
  /** How many questions have come. */
  questions(): number;
  stop(): Promise<void>;
}

const TYPE_A = 1;
const SECONDS = 1;

/** An answer to the question: 127.0.0.1, for a second; to any but one for an IPv4 address, that there is none. */
function answerTo(question: Buffer): Buffer {
  const end = question.indexOf(0, 12) + 5;
  const asked = question.subarray(12, end);
  const found = asked.readUInt16BE(asked.length - 4) === TYPE_A;
  const head = Buffer.from(question.subarray(0, 12));
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(found ? 1 : 0, 6);
  head.writeUInt32BE(0, 8);
  const record = Buffer.from([0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, SECONDS, 0, 4, 127, 0, 0, 1]);
  return Buffer.concat([head, asked, ...(found ? [record] : [])]);
}

async function startNameServer(): Promise<NameServer> {
  const socket = createSocket("udp4");
  let questions = 0;
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const server: NameServer = {
    port: socket.address().port,
    silent: true,
    questions: () => questions,
    async stop() {
      await new Promise<void>((resolve) => {
        socket.close(() => {
          resolve();
        });
      });
    },
  };
  socket.on("message", (question, from) => {
    questions += 1;
    if (!server.silent) socket.send(answerTo(question), from.port, from.address);
  });
  return server;
}

export { startNameServer };
export type { NameServer };
