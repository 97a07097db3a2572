// What one would write in Node.js to keep what it answers 200 for: it reads
// the body, verifies the signature, parses, builds the event, and stores both
// in SQLite (better-sqlite3), in one transaction for all hooks of a turn of the
// event loop. It answers once that is committed.
//
//	node durable.mjs PORT DB		SENTRY_CLIENT_SECRET
//
// The database is there already, with the tables of bench/load.py. NODE_PATH
// says where better-sqlite3 is.
import { createHmac, timingSafeEqual } from "node:crypto";
import http from "node:http";
import { createRequire } from "node:module";

const Database = createRequire(import.meta.url)("better-sqlite3");
const [port, file] = process.argv.slice(2);
const secret = process.env.SENTRY_CLIENT_SECRET;
const titles = {
	created: "🔴 [New Issue] ", resolved: "✅ [Resolved] ",
	assigned: "👤 [Assigned] ",
};

// ---- the event -----------------------------------------------------------

function bodyOf(issue, event) {
	const lines = [`**${issue.metadata?.type ?? "Error"}**: ` +
		(issue.metadata?.value ?? issue.title)];

	if (issue.culprit) lines.push(`\n**Location**: \`${issue.culprit}\``);
	lines.push(`\n**Occurrences**: ${issue.count} events affecting ` +
		`${issue.userCount} users`);
	lines.push(`**First seen**: ${issue.firstSeen}`);
	lines.push(`**Last seen**: ${issue.lastSeen}`);
	if (event?.release) lines.push(`\n**Release**: ${event.release}`);
	lines.push(`\n**Platform**: ${issue.platform}`);
	return lines.join("\n");
}

// Errors and alerts hold an event in place of an issue.
function issueOf(data) {
	const event = data.error ?? data.event;

	if (data.issue) return [data.issue, data.event];
	return [{ ...event, id: event.issue_id, shortId: event.issue_id,
		permalink: event.web_url, count: 1, userCount: 1,
		firstSeen: event.datetime, lastSeen: event.datetime,
		project: { id: event.project } }, event];
}

function metadataOf(issue, event) {
	return {
		issueId: issue.id, shortId: issue.shortId,
		permalink: issue.permalink,
		projectSlug: issue.project.slug, projectId: issue.project.id,
		platform: issue.platform, level: issue.level,
		status: issue.status,
		eventCount: parseInt(issue.count, 10),
		userCount: parseInt(issue.userCount, 10),
		firstSeen: issue.firstSeen, lastSeen: issue.lastSeen,
		release: event?.release ?? null,
		environment: event?.environment ?? null,
		errorType: issue.metadata?.type ?? null,
		errorValue: issue.metadata?.value ?? null,
		culprit: issue.culprit,
	};
}

function eventOf(action, issue, event) {
	return {
		name: "apps-console/neural/observation.capture",
		data: {
			sourceEvent: {
				source: "sentry",
				sourceType: `issue.${action}`,
				sourceId: `issue:${issue.id}`,
				title: (titles[action] ?? "⚠️ ") + issue.title,
				body: bodyOf(issue, event),
				occurredAt: issue.lastSeen,
				references: [{
					type: "sentry_issue",
					id: issue.shortId,
					url: issue.permalink,
				}],
				metadata: metadataOf(issue, event),
			},
		},
	};
}

// ---- the database --------------------------------------------------------

const db = new Database(file);
db.pragma("journal_mode = WAL");
db.pragma("synchronous = FULL");
const insertHook = db.prepare("INSERT INTO webhook (dedupe_key, body) " +
	"VALUES (?, ?) ON CONFLICT DO NOTHING");
const insertEvent = db.prepare("INSERT INTO outbox (webhook_id, " +
	"workspace_id, event, state) VALUES (?, (SELECT workspace_id FROM " +
	"workspace_map WHERE project = ?), ?, 'pending')");

const store = db.transaction((hooks) => {
	for (const hook of hooks) {
		const done = insertHook.run(hook.key, hook.body);

		if (done.changes === 1)
			insertEvent.run(done.lastInsertRowid, hook.project,
				hook.event);
	}
});

// Those of this turn of the event loop.
let waiting = [];

function storeAll() {
	const hooks = waiting;
	let status = 200;

	waiting = [];
	try {
		store(hooks);
	} catch (error) {
		console.error(error.message);
		status = 503;
	}
	for (const hook of hooks) answer(hook.response, status);
}

// ---- a request -----------------------------------------------------------

const texts = { 200: '{"received":true}', 400: '{"error":"Bad request"}',
	401: '{"error":"Invalid signature"}',
	503: '{"error":"Service unavailable"}' };

function answer(response, status) {
	response.writeHead(status, { "Content-Type": "application/json",
		"Content-Length": texts[status].length });
	response.end(texts[status]);
}

function verified(body, signature) {
	const want = createHmac("sha256", secret).update(body).digest();
	const got = Buffer.from(signature ?? "", "hex");

	return got.length === want.length && timingSafeEqual(got, want);
}

function take(headers, body, response) {
	const signature = headers["sentry-hook-signature"];
	let hook;

	if (!verified(body, signature)) return answer(response, 401);
	try {
		const { action, data } = JSON.parse(body);
		const [issue, event] = issueOf(data);

		hook = { response, body,
			key: headers["idempotency-key"] ??
				headers["request-id"] ?? signature,
			project: String(issue.project.slug ?? issue.project.id),
			event: JSON.stringify(eventOf(action, issue, event)) };
	} catch {
		return answer(response, 400);
	}
	if (waiting.push(hook) === 1) setImmediate(storeAll);
}

const server = http.createServer((request, response) => {
	const parts = [];

	request.on("data", (part) => parts.push(part));
	request.on("end", () =>
		take(request.headers, Buffer.concat(parts), response));
});
// Longer than nginx keeps a connection: who closes first must not be us.
server.keepAliveTimeout = 75000;
server.listen(Number(port), "127.0.0.1", 4096);
