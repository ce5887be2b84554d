/**
 * What is known of media in requests and answers: images, sound, video, files and what has been made of them, as bytes in
 * base64 or by address. OpenAI's reference (chat, responses), Anthropic's (messages), and what vLLM, DashScope, Mistral and
 * OpenRouter take besides.
 *
 * A member whose name promises media is one only where the part that it stands in says so by its `type`: a server may print any
 * other part's members for the model to read.
 */

/** The types of content parts, of their sources and of items that hold media. */
const MEDIA_PART_TYPES = [
  // Images.
  "image_url", "input_image", "image", "image_embeds", "computer_screenshot", "image_generation_call",
  // Sound.
  "input_audio", "audio_url", "audio", "audio_embeds",
  // Video, as one file or as frames.
  "video_url", "input_video", "video", "video_embeds",
  // Files.
  "file", "input_file", "document", "document_url", "container_upload",
  // Sources, and what can't be read.
  "base64", "url", "redacted_thinking",
];

export { MEDIA_PART_TYPES };
