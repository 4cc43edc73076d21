// OpenAI's SDK for Node with Taxiway: an image, one that is watched, and one made from another.
import fs from "node:fs";
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: (process.env.TAXIWAY_URL ?? "http://127.0.0.1:4000") + "/v1",
  apiKey: process.env.TAXIWAY_KEY ?? "any",
});
const model = "gen4_image";
const save = (name, text) => fs.writeFileSync(name, Buffer.from(text, "base64"));

// The bytes of an image. Without `response_format` it is an address, `image.data[0].url`.
const image = await client.images.generate({
  model,
  prompt: "A red fox in the snow",
  size: "1920x1080",
  response_format: "b64_json",
});
save("fox.png", image.data[0].b64_json);
console.log("fox.png", image.size, image.cost_microusd);

// Progress, and then the image. `image_generation.progress` is Taxiway's own event.
for await (const event of await client.images.generate({ model, prompt: "A red fox", stream: true })) {
  if (event.type === "image_generation.progress") {
    console.log(event.phase, event.progress);
  } else if (event.type === "image_generation.completed") {
    save("second.png", event.b64_json);
    console.log("second.png");
  }
}

// An image made from another one.
const rain = await client.images.edit({
  model,
  image: fs.createReadStream("fox.png"),
  prompt: "The same fox in the rain",
});
console.log(rain.data[0].url);
