"""Stand-ins for kubectl and Pulumi that write down the effects of the commands of the backup; see `backed_up`."""

# The cluster runs each Job at once. A step has its effect when its log is read.
KUBECTL = '''
import http.server, json, os, pathlib, re, subprocess, sys
place, effects = pathlib.Path({world!r}), pathlib.Path({effects!r})
words = " ".join(sys.argv[1:])
reads = {{"apply", "create", "exec"}} & set(sys.argv)
given = sys.stdin.read() if reads else ""
pathlib.Path({log!r}).open("a").write("kubectl " + words + "\\n")
before = place.read_text()
world = json.loads(before)

def effect(text):
    for file in (effects, pathlib.Path({log!r})):
        file.open("a").write(text + "\\n")

def containers(job):
    pod = job["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]

def variable(job, name):
    found = [one.get("value", "") for container in containers(job) for one in container.get("env", [])
             if one["name"] == name]
    return found[0] if found else ""

def kind_of(job):
    template = job["metadata"]["ownerReferences"][0]["name"]
    return template + (":" + variable(job, "ACTION") if template == "backup-check" else "")

def says(job, step):
    """The lines of a step of a Job, and what it changes."""
    kind, names = kind_of(job), [one["name"] for one in containers(job)]
    failure = world["fails"].get(kind)
    if failure and failure["step"] == step:
        return [step + ": working", *failure["says"]]
    if kind == "backup-restore" and step == "swap" and variable(job, "OBJECTS_ONLY") != "true":
        effect("swap" if not world["replicas"] else "swap WHILE FLYTE RUNS")
        world["databases"] |= {{"flyte_replaced": world["databases"]["flyte"], "flyte": world["restored"]}}
    if step != names[-1] or world["silent"]:
        return [step + ": working"]
    chosen = {{"id": world["sets"][-1]["id"] if world["sets"] else "", "time": "2026-01-02T03:17:05Z"}}
    found = {{
        "backup": {{"id": {point!r}}},
        "backup-check:list": {{"sets": world["sets"], "recovery": world["recovery"]}},
        "backup-restore": {{**chosen, "rows": 95, "objects": 7, "dangling": {{"cache": 2}}}},
        "backup-drill": {{**chosen, "rows": 95, "objects": 7, "dangling": {{}}}},
    }}
    return [step + ": working", "RESULT " + json.dumps(found.get(kind, {{}}))]

def status(job):
    failed = world["fails"].get(kind_of(job))
    names = [one["name"] for one in containers(job)]
    ran = names[: names.index(failed["step"]) + 1] if failed else names
    waiting = {{"waiting": {{"reason": "PodInitializing"}}}}
    return [{{"name": one, "state": {{"terminated": {{}}}} if one in ran else waiting}} for one in names]

def serve(port, host):
    """Flyte's API with one execution that runs only in the database."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            row = {{"id": {{"name": "lost"}}, "closure": {{"phase": "RUNNING", "created_at": "2026-01-01T00:00:00Z"}}}}
            content = {{}}
            if self.path.startswith("/api/v1/projects"):
                content = {{"projects": [{{"id": "remedy", "domains": [{{"id": "development"}}]}}]}}
            elif self.command == "GET":
                content = {{"executions": [row]}}
            elif self.path.endswith("/events/workflows"):
                effect("ended lost")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())
        do_GET = do_POST = do_DELETE = answer
        def log_message(self, *_):
            pass
    server = http.server.HTTPServer((host, port), Handler)
    print("Forwarding from", host, flush=True)
    server.serve_forever()

def create(content):
    if content["kind"] == "Job":
        names = ("LABEL", "AT", "OBJECTS_ONLY", "RUN_MISSED_SCHEDULES") if "check" not in kind_of(content) else ()
        values = [(name, variable(content, name)) for name in names]
        shown = [f"{{name}}={{value}}" for name, value in values if value not in ("", "false")]
        effect(" ".join(["job", kind_of(content), *shown]))
        world["jobs"][content["metadata"]["name"]] = content
        return
    for one in content.get("items", [content]):
        effect("create " + one["kind"] + " " + re.sub("-[0-9a-f]{{8}}$", "", one["metadata"]["name"]))
        world["created"].append(one)

arguments = [one for one in sys.argv[1:] if not one.startswith("--")]
arguments = arguments[2:] if "--kubeconfig" in sys.argv else arguments
name = arguments[2] if len(arguments) > 2 else ""
rejected = next((one for one in world["rejects"] if one in words), "")
if rejected:
    sys.exit("planted failure of " + rejected)
if "kube-system" in words:
    print({uid!r}, end="")
elif "port-forward" in words:
    ports = next(one for one in arguments if ":" in one and one[0].isdigit())
    host = next(one for one in sys.argv if one.startswith("--address=")).partition("=")[2]
    serve(int(ports.partition(":")[0]), host)
elif "get cronjob " in words:
    if name not in world["templates"]:
        sys.exit("Error from server (NotFound): cronjobs.batch not found")
    print(json.dumps(world["templates"][name]))
elif "create" in arguments:
    create(json.loads(given))
elif "--server-side" in sys.argv:
    effect("keep state")
    world["applied"].append(json.loads(given))
elif "get pods" in words and "job-name=" in words:
    found = words.partition("job-name=")[2].split()[0]
    metadata = {{"name": "pod-of-" + found, "creationTimestamp": "2026-01-01T00:00:00Z"}}
    statuses = status(world["jobs"][found])
    print(json.dumps({{"items": [{{"metadata": metadata, "status": {{"initContainerStatuses": statuses}}}}]}}))
elif "logs" in arguments and "pod-of-" in words:
    job = world["jobs"][arguments[1].removeprefix("pod-of-")]
    print("\\n".join(says(job, words.partition("--container=")[2].split()[0])))
elif "logs" in arguments:
    print(world["log"])
elif "get job " in words:
    ended = "Failed" if kind_of(world["jobs"][name]) in world["fails"] else "Complete"
    print(json.dumps({{"status": {{"conditions": [{{"type": ended, "status": "True"}}]}}}}))
elif "PG_VERSION" in words:
    sys.exit("the pod does not run") if world["down"] else print(17)
elif "exec" in arguments and "pg_tables" in given:
    sys.exit("invalid page") if world["unreadable"] else None
    print("\\n".join(f"{{table}}|{{count}}" for table, count in world["databases"]["flyte"].items()))
elif "exec" in arguments and "RENAME" in given:
    sys.exit("database is being accessed") if world["stuck"] else None
    effect("swap back" if not world["replicas"] else "swap back WHILE FLYTE RUNS")
    world["databases"]["flyte"] = world["databases"].pop("flyte_replaced")
elif "exec" in arguments and "SELECT 1 FROM pg_database" in given:
    print("1" if "flyte_replaced" in world["databases"] else "")
elif "exec" in arguments and "DROP DATABASE IF EXISTS flyte_replaced" in given:
    if world["databases"].pop("flyte_replaced", None):
        effect("drop what was replaced")
elif "scale" in arguments:
    world["replicas"] = int(words.partition("--replicas=")[2].split()[0])
    effect(f"scale {{world['replicas']}}")
elif "get pods" in words:
    print("pod/flyte-binary-1" if world["replicas"] else "", end="")
elif "get pod " in words:
    print(json.dumps({{"status": {{"phase": world["phase"]}}}}))
elif "get namespace " in words:
    sys.exit("Error from server (NotFound)")
elif "flyteworkflows" in words:
    pass
elif "delete secret" in words or "delete namespace" in words:
    effect("delete " + arguments[1] + " " + re.sub("-[0-9a-f]{{8}}$", "", name))
elif os.path.exists({other!r}):
    sys.exit(subprocess.run([{other!r}, *sys.argv[1:]], input=given, text=True).returncode)
# Only what has changed is written, and at once.
if world != json.loads(before):
    new = place.with_name(f"world-{{os.getpid()}}.json")
    new.write_text(json.dumps(world))
    new.replace(place)
'''
PULUMI = """
import json, pathlib, sys
import yaml
log, world = pathlib.Path({log!r}), json.loads(pathlib.Path({world!r}).read_text())
arguments = sys.argv[1:]
log.open("a").write("pulumi " + " ".join(arguments) + "\\n")
if any(one in " ".join(arguments) for one in world["rejects"]):
    sys.exit("planted failure of pulumi")
if arguments[0] == "whoami":
    sys.exit(1)
file = pathlib.Path({program!r}, "Pulumi.dev.yaml")
if arguments[:2] == ["stack", "ls"]:
    print(json.dumps([{{"name": name}} for name in world["stacks"]]))
if arguments[:2] == ["stack", "export"]:
    print(json.dumps({{"deployment": {{"secret": "planted-in-the-state"}}}}))
if arguments[:2] == ["stack", "import"]:
    pathlib.Path({imported!r}).write_text(sys.stdin.read())
if arguments[:2] == ["config", "get"]:
    print({credentials!r})
if arguments[:2] in (["config", "set"], ["config", "rm"]):
    content = yaml.safe_load(file.read_text())
    words = [one for one in arguments[2:] if one not in ("--path", "--non-interactive", "--stack", "dev")]
    place, _, rest = words[0].partition(".")
    part, key = (content["config"].setdefault(place, {{}}), rest) if rest else (content["config"], place)
    part.pop(key, None)
    if arguments[1] == "set":
        part[key] = words[1]
        pathlib.Path({effects!r}).open("a").write("config " + " ".join(words) + "\\n")
    file.write_text(yaml.safe_dump(content))
"""
