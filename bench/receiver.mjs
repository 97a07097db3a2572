// What one would write by hand: a small Node.js receiver. It reads the body,
// verifies the signature, parses, maps the project, builds the event and
// posts it to the event API; 200 once that has taken it. It keeps nothing.
//
//	node receiver.mjs PORT EVENT_API_URL		SENTRY_CLIENT_SECRET
import { createHmac, timingSafeEqual } from "node:crypto";
import http from "node:http";

const [port, eventApi] = process.argv.slice(2);
const secret = process.env.SENTRY_CLIENT_SECRET;
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
const workspaces = [{ id: "ws_other", name: "other" },
	{ id: "ws_bench", name: "The Shop" }];
const titles = {
	created: "🔴 [New Issue] ", resolved: "✅ [Resolved] ",
	assigned: "👤 [Assigned] ",
};

function verified(body, signature) {
	const want = createHmac("sha256", secret).update(body).digest();
	const got = Buffer.from(signature ?? "", "hex");

	return got.length === want.length && timingSafeEqual(got, want);
}

function workspaceOf(slug) {
	return workspaces.find((w) => w.name.toLowerCase().includes(slug)) ??
		workspaces[0];
}

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
		project: { slug: "shop", id: event.project } }, event];
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
		hasStackTrace: !!event?.exception?.values?.some(
			(v) => v.stacktrace),
	};
}

function eventOf(payload) {
	const [issue, event] = issueOf(payload.data);

	return {
		name: "apps-console/neural/observation.capture",
		data: {
			workspaceId: workspaceOf(issue.project.slug).id,
			storeId: "default",
			sourceEvent: {
				source: "sentry",
				sourceType: `issue.${payload.action}`,
				sourceId: `issue:${issue.id}`,
				title: (titles[payload.action] ?? "⚠️ ") +
					issue.title,
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

function send(event) {
	const text = JSON.stringify(event);

	return new Promise((resolve, reject) => {
		const request = http.request(eventApi, { method: "POST", agent,
			headers: { "Content-Type": "application/json",
				"Content-Length": Buffer.byteLength(text) } },
		(response) => {
			response.resume();
			response.on("end", () => response.statusCode === 200 ?
				resolve() : reject(new Error("event API")));
		});
		request.on("error", reject);
		request.end(text);
	});
}

async function answer(request) {
	const parts = [];

	for await (const part of request) parts.push(part);
	const body = Buffer.concat(parts);
	if (!verified(body, request.headers["sentry-hook-signature"]))
		return [401, { error: "Invalid signature" }];
	const event = eventOf(JSON.parse(body.toString("utf8")));
	await send(event);
	console.log("event sent for", event.data.sourceEvent.sourceId);
	return [200, { received: true }];
}

http.createServer(async (request, response) => {
	const [status, value] = await answer(request).catch(() =>
		[500, { error: "Internal server error" }]);
	const text = JSON.stringify(value);

	response.writeHead(status, { "Content-Type": "application/json",
		"Content-Length": text.length });
	response.end(text);
}).listen(Number(port), "127.0.0.1", 1024);
