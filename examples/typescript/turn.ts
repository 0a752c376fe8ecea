// A message in, the reply out, with the types of the published contract: a field that does not exist does not compile.
import createClient from "openapi-fetch";
import type { paths } from "./convo";

export const convo = createClient<paths>({
  baseUrl: process.env.CONVO_URL ?? "http://127.0.0.1:8000",
  headers: { Authorization: `Bearer ${process.env.CONVO_KEY}` },
});

/** The reply to a message; the same id again gets the same reply, so whatever failed may be asked again. */
export async function reply(identity: string, id: string, text: string): Promise<string | undefined> {
  const { data, error } = await convo.POST("/turns", { body: { identity, message: { id, text } } });
  if (error) throw new Error(`${error.status} ${error.code}`);
  return data.reply?.text;
}

/** Every conversation of a user, newest first, page by page. */
export async function* conversations(user_id: string) {
  let after: string | undefined;
  do {
    const { data, error } = await convo.GET("/conversations", { params: { query: { user_id, limit: 100, after } } });
    if (error) throw new Error(`${error.status} ${error.code}`);
    yield* data.data;
    after = data.has_more ? (data.last_id ?? undefined) : undefined;
  } while (after);
}

console.log(await reply("+39 333 123 4567", `example.${Date.now()}`, "Avete la farina tipo 00?"));
