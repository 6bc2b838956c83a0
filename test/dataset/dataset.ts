// The drill's data: a believable company chat with users, rooms, messages and uploads, the same on every run for the same seed.
import { BSON } from '../../shared/mongodb/bson.ts';
import { BSON_SAMPLES, sampleDocument } from './bson-samples.ts';
import { emoji, fileName, messageText, personName, roomName } from './chat-text.ts';
import { SeededRandom } from './seeded-random.ts';

const { Binary, Int32, Long, ObjectId } = BSON;

/** GridFS's usual chunk, 255 KiB: with its fields the document stays below 256 KiB. */
const CHUNK_BYTES = 255 * 1024;
const MESSAGES_PER_BATCH = 1000;
const DEFAULT_UPLOADS = 2.4 * 1024 * 1024;
/** Chunks per insert: large enough to be fast, far below a message's 48 MB. */
const CHUNKS_PER_BATCH = 12;
/** The chat began here; fixed, so that the data is. */
const BEGIN = Date.UTC(2026, 0, 5, 7);

/** What the server takes beyond plain data; `probeServer` finds it out. */
export interface ServerTraits {
  /** Database names outside ASCII. */
  unicodeDatabases: boolean;
  /** The names of BSON_SAMPLES that come back byte for byte. */
  samples: ReadonlySet<string>;
}

/** Traits of MongoDB itself. */
export const ALL_TRAITS: ServerTraits = { unicodeDatabases: true, samples: new Set(BSON_SAMPLES.keys()) };

export interface DatasetOptions {
  /** Bytes of BSON in all, met within about one per cent. At least 1 MiB. Default 200 MiB. */
  size?: number;
  /** Same seed, same bytes. */
  seed?: string;
  /** Begins every database's name, so that a drill only ever touches what it made. */
  prefix?: string;
  traits?: ServerTraits;
  /** Bytes of uploads for every thousand messages: sets the mix. With the default, about a fifth of all bytes are chat. */
  uploadsPerThousandMessages?: number;
}

export interface DatasetIndex {
  name: string;
  key: Record<string, 1 | -1>;
  unique?: true;
}

export interface DatasetCollection {
  db: string;
  collection: string;
  indexes: DatasetIndex[];
}

/** Documents of one collection, to be written together. */
export interface DatasetBatch {
  collection: DatasetCollection;
  documents: BSON.Document[];
  bytes: number;
}

export interface Dataset {
  /** Names of the databases, sorted. */
  databases: string[];
  /** Every collection, the empty one too. */
  collections: DatasetCollection[];
  /** All documents, in the order in which a real chat would have written them: collections interleave. Can be called again. */
  batches(): Generator<DatasetBatch>;
}

export const DEFAULT_DATASET_SIZE = 200 * 1024 * 1024;
export const DEFAULT_DATASET_PREFIX = 'drill_';

/** Describes the data; nothing is made until `batches()` is walked. */
export function chatDataset(options: DatasetOptions = {}): Dataset {
  const traits = options.traits ?? ALL_TRAITS;
  const collections = collectionsOf(options.prefix ?? DEFAULT_DATASET_PREFIX, traits);
  return {
    databases: [...new Set(Object.values(collections).map(({ db }) => db))].sort(),
    collections: Object.values(collections),
    batches: () => new Chat(collections, options, traits).batches(),
  };
}

type Collections = ReturnType<typeof collectionsOf>;

function collectionsOf(prefix: string, traits: ServerTraits) {
  const chat = `${prefix}rocketchat`;
  const archive = prefix + (traits.unicodeDatabases ? 'архив' : 'archive');
  const collection = (db: string, name: string, ...indexes: DatasetIndex[]): DatasetCollection => ({ db, collection: name, indexes });
  return {
    users: collection(
      chat,
      'users',
      { name: 'username_1', key: { username: 1 }, unique: true },
      { name: 'active', key: { active: 1, lastLogin: -1 } },
    ),
    rooms: collection(chat, 'rocketchat_room', { name: 'name_1', key: { name: 1 }, unique: true }),
    messages: collection(
      chat,
      'rocketchat_message',
      { name: 'rid_1_ts_-1', key: { rid: 1, ts: -1 } },
      { name: 'u._id_1', key: { 'u._id': 1 } },
    ),
    files: collection(chat, 'rocketchat_uploads.files', { name: 'filename_1_uploadDate_1', key: { filename: 1, uploadDate: 1 } }),
    chunks: collection(chat, 'rocketchat_uploads.chunks', { name: 'files_id_1_n_1', key: { files_id: 1, n: 1 }, unique: true }),
    settings: collection(chat, 'rocketchat_settings'),
    /** Nobody is waiting: an empty collection must survive a restore, with its index. */
    queue: collection(chat, 'rocketchat_livechat_inquiry', { name: 'ts_1', key: { ts: 1 } }),
    announcements: collection(chat, 'объявления 📣', { name: 'дата_-1', key: { дата: -1 } }),
    logins: collection(`${prefix}audit`, 'logins', { name: 'at_1_user_1', key: { at: 1, user: 1 } }),
    closedRooms: collection(archive, '閉じた部屋', { name: 'closedAt_-1', key: { closedAt: -1 } }),
  };
}

// One pass over the whole chat.
class Chat {
  readonly #collections: Collections;
  readonly #size: number;
  readonly #traits: ServerTraits;
  readonly #random: SeededRandom;
  readonly #uploadsPerBatch: number;
  readonly #users: { _id: string; username: string; name: string }[] = [];
  readonly #rooms: string[] = [];
  #bytes = 0;
  #objectIds = 0;
  #uploads = 0;
  #clock = BEGIN;

  constructor(collections: Collections, options: DatasetOptions, traits: ServerTraits) {
    this.#collections = collections;
    this.#size = Math.max(options.size ?? DEFAULT_DATASET_SIZE, 2 ** 20);
    this.#traits = traits;
    this.#random = new SeededRandom(options.seed ?? 'lifeboat');
    this.#uploadsPerBatch = ((options.uploadsPerThousandMessages ?? DEFAULT_UPLOADS) * MESSAGES_PER_BATCH) / 1000;
  }

  *batches(): Generator<DatasetBatch> {
    const scale = this.#size / DEFAULT_DATASET_SIZE;
    yield this.#batch('users', count(20, 1500 * scale, 20_000), (n) => this.#user(n));
    yield this.#batch('rooms', count(10, 300 * scale, 5000), (n) => this.#room(n));
    yield this.#batch('settings', 200, (n) => ({ _id: `Setting_${n}`, type: 'boolean', value: this.#random.chance(0.5), sorter: n }));
    yield this.#batchOf(
      'settings',
      [...this.#traits.samples].map((name) => sampleDocument(name, BSON_SAMPLES.get(name))),
    );
    yield this.#batch('announcements', 25, (n) => ({
      _id: this.#objectId(),
      номер: n,
      текст: messageText(this.#random),
      дата: this.#later(3_600_000),
    }));
    yield this.#batch('closedRooms', count(5, 200 * scale, 5000), (n) => this.#closedRoom(n));
    // The rest is life: people log in, write, and upload, until the size is reached.
    while (this.#bytes < this.#size) {
      yield this.#batch('logins', 50, () => this.#login());
      yield this.#batch('messages', Math.min(MESSAGES_PER_BATCH, Math.ceil((this.#size - this.#bytes) / 2000)), () => this.#message());
      yield* this.#someUploads(Math.min(this.#uploadsPerBatch, this.#size - this.#bytes));
    }
  }

  #batch(name: keyof Collections, documents: number, make: (n: number) => BSON.Document): DatasetBatch {
    return this.#batchOf(
      name,
      Array.from({ length: documents }, (_, n) => make(n)),
    );
  }

  #batchOf(name: keyof Collections, documents: BSON.Document[]): DatasetBatch {
    let bytes = 0;
    // Not calculateObjectSize(): bson 6 is wrong about Int32 and symbols.
    for (const document of documents) bytes += BSON.serialize(document).length;
    this.#bytes += bytes;
    return { collection: this.#collections[name], documents, bytes };
  }

  #user(n: number): BSON.Document {
    const random = this.#random;
    const { name, username } = personName(random, n);
    const user = { _id: this.#shortId(), username, name };
    this.#users.push(user);
    return {
      ...user,
      emails: [{ address: `user${n}@example.org`, verified: random.chance(0.9) }],
      active: random.chance(0.95),
      roles: n === 0 ? ['admin', 'user'] : ['user'],
      lastLogin: this.#later(1000),
      utcOffset: random.below(25) - 11.5,
      services: { password: { bcrypt: `$2b$10$${random.bytes(40).toString('base64url').slice(0, 53)}` } },
      avatar: new Binary(random.bytes(16)),
    };
  }

  #room(n: number): BSON.Document {
    const _id = this.#shortId();
    this.#rooms.push(_id);
    return {
      _id,
      t: this.#random.pick(['c', 'p', 'd']),
      name: roomName(this.#random, n),
      usersCount: this.#random.below(200),
      msgs: Long.fromNumber(this.#random.below(1_000_000)),
      u: this.#random.pick(this.#users),
      ts: this.#later(60_000),
      ro: false,
      lastMessage: null,
    };
  }

  #message(): BSON.Document {
    const random = this.#random;
    const ts = this.#later(20_000);
    return {
      _id: this.#shortId(),
      rid: random.pick(this.#rooms),
      msg: messageText(random),
      ts,
      u: random.pick(this.#users),
      mentions: random.chance(0.1) ? [random.pick(this.#users)] : [],
      _updatedAt: ts,
      ...(random.chance(0.15) ? { reactions: { [emoji(random)]: { usernames: [random.pick(this.#users).username] } } } : {}),
      ...(random.chance(0.1) ? { editedAt: this.#later(1000), editedBy: random.pick(this.#users) } : {}),
      ...(random.chance(0.05) ? { tmid: this.#shortId(), tcount: new Int32(random.below(40)) } : {}),
    };
  }

  #login(): BSON.Document {
    const random = this.#random;
    const address = `10.${random.below(256)}.${random.below(256)}.${random.below(256)}`;
    return { _id: this.#objectId(), at: this.#later(500), user: random.pick(this.#users)._id, address, ok: random.chance(0.97) };
  }

  #closedRoom(n: number): BSON.Document {
    return {
      _id: this.#objectId(),
      名前: roomName(this.#random, n),
      closedAt: this.#later(5000),
      messages: Array.from({ length: 5 }, () => messageText(this.#random)),
    };
  }

  *#someUploads(bytes: number): Generator<DatasetBatch> {
    const files: BSON.Document[] = [];
    let chunks: BSON.Document[] = [];
    for (let left = bytes; left > 0;) {
      // Many small files and a few large ones, as in life.
      const length = Math.min(left, Math.ceil(20_000 + this.#random.next() ** 4 * 6_000_000));
      const _id = this.#objectId();
      for (let n = 0; n * CHUNK_BYTES < length; n++) {
        const data = new Binary(this.#random.bytes(Math.min(CHUNK_BYTES, length - n * CHUNK_BYTES)));
        chunks.push({ _id: this.#objectId(), files_id: _id, n, data });
        if (chunks.length < CHUNKS_PER_BATCH) continue;
        yield this.#batchOf('chunks', chunks);
        chunks = [];
      }
      files.push(this.#file(_id, length));
      left -= length;
    }
    if (chunks.length > 0) yield this.#batchOf('chunks', chunks);
    yield this.#batchOf('files', files);
  }

  #file(_id: BSON.ObjectId, length: number): BSON.Document {
    const { name, contentType } = fileName(this.#random, this.#uploads++);
    const metadata = { userId: this.#random.pick(this.#users)._id, rid: this.#random.pick(this.#rooms) };
    return {
      _id,
      length: Long.fromNumber(length),
      chunkSize: CHUNK_BYTES,
      uploadDate: this.#later(1000),
      filename: name,
      contentType,
      metadata,
    };
  }

  #later(upToMs: number): Date {
    this.#clock += 1 + this.#random.below(upToMs);
    return new Date(this.#clock);
  }

  #shortId(): string {
    return this.#random.bytes(12).toString('hex').slice(0, 17);
  }

  #objectId(): BSON.ObjectId {
    const bytes = this.#random.bytes(12);
    bytes.writeUInt32BE(Math.floor(this.#clock / 1000), 0);
    bytes.writeUIntBE(this.#objectIds++ & 0xffffff, 9, 3);
    return new ObjectId(bytes);
  }
}

function count(least: number, wanted: number, most: number): number {
  return Math.round(Math.min(Math.max(wanted, least), most));
}
