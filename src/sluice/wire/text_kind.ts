/** What kind of text stands at a place of a request or an answer. */
const enum TextKind {
  /** Not text. */
  None = 0,
  /** What the model says, and what is said to it. */
  Content = 1,
  Reasoning = 2,
  Refusal = 3,
  /** JSON inside a JSON string: the arguments of a tool call. */
  Arguments = 4,
  /** The input of a tool that takes plain text. */
  Input = 5,
  /** The tokens of an answer once more, with their probabilities. */
  LogProbability = 6,
  /** Kinds from here on are complete in one string; in a stream the others go on from event to event. */
  Name = 7,
  /** Why a choice ended: no text, but the end of one. */
  FinishReason = 8,
  /** A text that a stream repeats as a whole when it has ended. */
  Repeated = 9,
  RepeatedArguments = 10,
  /** A string at a place that is not known. */
  Other = 11,
  /** A line of a stream that is no data: bytes as they stand there, without JSON's escapes. */
  Line = 12,
}

export { TextKind };
