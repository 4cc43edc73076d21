// Reference images from files: small enough for Runway, or made so.

// Runway takes a data URI of so many characters; a larger picture it takes from a public address only.
export const MAX_CHARS = 5_242_880;

const KINDS = ["image/png", "image/jpeg", "image/webp"];
const SIDES = [4096, 2048, 1024];

export async function load(file) {
  if (!KINDS.includes(file.type)) throw new Error(`${file.name} is no PNG, JPEG or WebP, which is what Runway takes.`);
  let uri = await read(file);
  let shrunk = false;
  for (const side of SIDES) {
    if (uri.length <= MAX_CHARS) break;
    uri = await read(await shrink(file, side));
    shrunk = true;
  }
  if (uri.length > MAX_CHARS) throw new Error(`${file.name} is too large.`);
  return { name: file.name, uri, tag: "", shrunk };
}

function read(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error("The file cannot be read."));
    reader.readAsDataURL(blob);
  });
}

async function shrink(file, side) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name} is no picture that can be read.`);
  });
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
}
