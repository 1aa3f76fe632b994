// What may be attached, and small pictures of it.

export type MediaKind = 'image' | 'video' | 'document';

export const MAX_FILE_BYTES = 2 * 1024 ** 3; // the server's own limit for an upload
export const ACCEPTED = 'image/*,video/*,application/pdf,.heic,.heif,.mkv,.mov,.webm';
const THUMBNAIL = 160; // pixels, the longer side
const READ_S = 5; // for one picture of a video

const ENDINGS: Record<MediaKind, RegExp> = {
  image: /\.(png|jpe?g|webp|gif|bmp|tiff?|avif|heic|heif)$/i,
  video: /\.(mp4|m4v|mov|mkv|webm|avi|mpe?g)$/i,
  document: /\.pdf$/i,
};

/** What a file is by its type or its name; the server looks at its bytes. SVG is a program, not a picture. */
export function kindOf(file: { name: string; type: string }): MediaKind | null {
  if (file.type === 'application/pdf') return 'document';
  if (file.type.startsWith('image/svg')) return null;
  if (file.type.startsWith('image/')) return 'image';
  if (file.type.startsWith('video/')) return 'video';
  const byName = Object.entries(ENDINGS).find(([, ending]) => ending.test(file.name));
  return byName ? (byName[0] as MediaKind) : null;
}

/** Why a file cannot be attached, or null. */
export function refusal(file: { name: string; type: string; size: number }): string | null {
  if (kindOf(file) === null) return `${shownName(file.name)} is no picture, PDF or video.`;
  if (file.size === 0) return `${shownName(file.name)} is empty.`;
  if (file.size > MAX_FILE_BYTES) return `${shownName(file.name)} has ${bytes(file.size)}; a file may have ${bytes(MAX_FILE_BYTES)}.`;
  return null;
}

/** A name without what would turn the text around it: control and direction characters. */
export function shownName(name: string): string {
  const plain = name.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '').trim();
  return plain.length > 80 ? `${plain.slice(0, 60)}…${plain.slice(-16)}` : plain || 'file';
}

export function bytes(size: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB'];
  const unit = Math.min(units.length - 1, size < 1000 ? 0 : Math.floor(Math.log10(size) / 3));
  const value = size / 1000 ** unit;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A small PNG drawn anew, or null where the browser cannot read the file (PDF, HEIC). */
export async function thumbnail(file: Blob, kind: MediaKind): Promise<Blob | null> {
  try {
    if (kind === 'image') return await drawnPicture(file);
    if (kind === 'video') return await drawn(await frameAt(file, 0));
  } catch {
    // no preview; what the file is worth is for the server to say
  }
  return null;
}

async function drawnPicture(file: Blob): Promise<Blob | null> {
  const picture = await createImageBitmap(file);
  try {
    return await drawn(picture);
  } finally {
    picture.close();
  }
}

async function drawn(picture: ImageBitmap | HTMLCanvasElement): Promise<Blob | null> {
  const scale = Math.min(1, THUMBNAIL / Math.max(picture.width, picture.height));
  const canvas = canvasOf(Math.max(1, Math.round(picture.width * scale)), Math.max(1, Math.round(picture.height * scale)));
  canvas.getContext('2d')?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
}

/** The picture of a video at a time in seconds. Raises: Error where the browser cannot play it. */
export async function frameAt(file: Blob, seconds: number): Promise<HTMLCanvasElement> {
  const video = document.createElement('video');
  const url = URL.createObjectURL(file);
  try {
    Object.assign(video, { muted: true, preload: 'auto', playsInline: true, src: url });
    await happened(video, 'loadeddata');
    if (seconds > 0) {
      video.currentTime = Math.min(seconds, video.duration || seconds);
      await happened(video, 'seeked');
    }
    const canvas = canvasOf(video.videoWidth, video.videoHeight);
    canvas.getContext('2d')?.drawImage(video, 0, 0);
    return canvas;
  } finally {
    video.removeAttribute('src');
    video.load();
    URL.revokeObjectURL(url);
  }
}

function happened(video: HTMLVideoElement, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('the video gave no picture')), READ_S * 1000);
    video.addEventListener(event, () => (clearTimeout(late), resolve()), { once: true });
    video.addEventListener('error', () => (clearTimeout(late), reject(new Error('the video cannot be played'))), { once: true });
  });
}

function canvasOf(width: number, height: number): HTMLCanvasElement {
  return Object.assign(document.createElement('canvas'), { width, height });
}
