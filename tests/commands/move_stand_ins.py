"""Stand-ins for kubectl and Pulumi, on a cluster whose Flyte uses one of two databases and one of two object stores."""

# What Flyte uses is in its ConfigMap; `pulumi up` without a target switches it to what the stack file says.
KUBECTL = """
import base64, json, os, pathlib, re, sys, time
place, effects = pathlib.Path({world!r}), pathlib.Path({effects!r})
words = " ".join(sys.argv[1:])
given = sys.stdin.read() if {{"apply", "create", "exec", "--filename=-"}} & set(sys.argv) else ""
pathlib.Path({log!r}).open("a").write("kubectl " + words + "\\n")
before = place.read_text()
world = json.loads(before)

def effect(text):
    effects.open("a").write(text + "\\n")

def save():
    if world != json.loads(before):
        new = place.with_name(f"world-{{os.getpid()}}.json")
        new.write_text(json.dumps(world))
        new.replace(place)

def secret(**files):
    data = {{name: base64.b64encode(text.encode()).decode() for name, text in files.items()}}
    return {{"kind": "Secret", "data": data}}

def action(job):
    pod = job["spec"]["template"]["spec"]
    first = [*pod.get("initContainers", []), *pod["containers"]][0]
    return {{one["name"]: one["value"] for one in first["env"]}}["ACTION"]

HOSTS = {{"bundled": "postgres.flyte.svc", "external": "db.home.example"}}
STORES = {{"bundled": "http://minio.flyte.svc:9000", "external": "https://s3.home.example:9000"}}
if world["fails"] and world["fails"] in words + given:
    save()
    sys.exit("planted failure")
if "kube-system" in words:
    print({uid!r}, end="")
elif "get deployment flyte-binary" in words and "jsonpath" not in words:
    sources = [{{"configMap": {{"name": "flyte-binary-config"}}}}, {{"secret": {{"name": "flyte-config-1"}}}}]
    volumes = [{{"name": "config", "projected": {{"sources": sources}}}}]
    spec = {{"replicas": world["replicas"], "template": {{"spec": {{"volumes": volumes}}}}}}
    print(json.dumps({{"kind": "Deployment", "spec": spec}}))
elif "get configmap flyte-binary-config" in words:
    database = {{"host": HOSTS[world["database"]], "port": 5432, "dbname": "flyte", "username": "flyte"}}
    database["options"] = "sslmode=disable"
    stow = {{"config": {{"endpoint": STORES[world["store"]], "region": "us-east-1"}}}}
    storage = {{"container": "flyte", "stow": stow}}
    files = {{"002-database.yaml": json.dumps({{"database": {{"postgres": database}}}})}}
    print(json.dumps({{"data": files | {{"003-storage.yaml": json.dumps({{"storage": storage}})}}}}))
elif "get secret flyte-config-1" in words:
    key = "[default]\\naws_access_key_id = flyte\\naws_secret_access_key = planted-key\\n"
    password = {{"database": {{"postgres": {{"password": "planted-password"}}}}}}
    print(json.dumps(secret(**{{"202-database.yaml": json.dumps(password), "object-store-key": key}})))
elif "get secret " in words:
    print(json.dumps(secret(**{{
        "flyte-password": "planted-new-password", "root-user": "root", "root-password": "planted-root",
        "flyte.access": "flyte", "flyte.secret": "planted-external-key",
    }})))
elif "get configmap flyte-home-move" in words:
    print(json.dumps(world["move"]) if world["move"] else "")
elif "get configmap flyte-home-record" in words:
    print(json.dumps(world["upgrade"]) if world["upgrade"] else "")
elif "apply" in words:
    content = json.loads(given)
    if content["kind"] == "ConfigMap" and content["metadata"]["name"] == "flyte-home-move":
        world["move"] = content
        effect("record " + json.loads(content["data"]["move"])["phase"])
elif "create" in sys.argv:
    content = json.loads(given)
    assert "planted" not in given or content["kind"] == "Secret", "a secret in the clear"
    if content["kind"] == "Job":
        world["jobs"][content["metadata"]["name"]] = content
        print("uid-of-the-job")
        effect("job " + action(content))
    elif content["kind"] == "Secret":
        world["secrets"].append(content["metadata"]["name"])
elif "get pods" in words and "job-name=" in words:
    found = words.partition("job-name=")[2].split()[0]
    statuses = [{{"name": action(world["jobs"][found]), "state": {{"terminated": {{}}}}}}]
    metadata = {{"name": "pod-of-" + found, "creationTimestamp": "2026-01-01T00:00:00Z"}}
    print(json.dumps({{"items": [{{"metadata": metadata, "status": {{"containerStatuses": statuses}}}}]}}))
elif "logs pod-of-" in words:
    name = re.search("pod-of-(\\\\S+)", words)[1]
    doing = action(world["jobs"][name])
    if doing == world["hangs"]:
        time.sleep(60)
    if doing == world["wrong"]:
        print("database: planted complaint")
    elif doing == "copy" and world["replicas"]:
        print("database: copied WHILE FLYTE RUNS")
    else:
        print("RESULT {{}}")
elif "get job " in words:
    name = words.partition("get job ")[2].split()[0]
    doing = action(world["jobs"][name])
    ended = "Failed" if doing == world["wrong"] or (doing == "copy" and world["replicas"]) else "Complete"
    print(json.dumps({{"status": {{"conditions": [{{"type": ended, "status": "True"}}]}}}}))
elif "delete job " in words:
    name = words.partition("delete job ")[2].split()[0]
    world["secrets"] = [one for one in world["secrets"] if one != name]
elif "delete jobs,secrets" in words:
    world["secrets"] = []
    if "flyte-home/move " in words:
        world["move"] = None
        effect("forget")
elif "scale" in words:
    world["replicas"] = int(words.partition("--replicas=")[2].split()[0])
    effect(f"scale {{world['replicas']}}")
elif "get pods" in words and "--namespace=remedy" in words:
    pods = world["tasks"].pop(0) if world["tasks"] else []
    where, status = {{"namespace": "remedy-development"}}, {{"phase": "Running"}}
    items = [{{"metadata": where | {{"name": one}}, "status": status}} for one in pods]
    print(json.dumps({{"items": items}}))
elif "get pods" in words and "--selector=" in words and "-oname" not in words and "json" not in words:
    print("pod/flyte-binary-1" if world["replicas"] else "")
elif "get persistentvolumeclaim " in words:
    print('{{"metadata": {{}}}}')
elif "exec" in sys.argv:
    print("PostgreSQL 17.11" if "pg_tables" not in given else "public.executions|92")
elif "get" in sys.argv:
    print('{{"items": []}}')
save()
"""
PULUMI = """
import json, os, pathlib, signal, sys
import yaml
log, place, program = pathlib.Path({log!r}), pathlib.Path({world!r}), pathlib.Path({program!r})
arguments = sys.argv[1:]
line = "pulumi " + " ".join(arguments)
log.open("a").write(line + "\\n")
world = json.loads(place.read_text())

def effect(text):
    pathlib.Path({effects!r}).open("a").write(text + "\\n")

TYPES = {{
    "database": {{"bundled": "Postgres", "external": "ExternalPostgres"}},
    "store": {{"bundled": "Minio", "external": "ExternalObjectStore"}},
}}
SECRETS = {{"Minio": "minio-root", "ExternalObjectStore": "object-store-keys", "Postgres": "postgres-credentials"}}
HOSTS = {{"Postgres": "postgres.flyte.svc", "ExternalPostgres": "db.home.example"}}
STORES = {{"bundled": "http://minio.flyte.svc:9000", "external": "https://s3.home.example:9000"}}
CLAIMS = {{"Postgres": "postgres-data", "Minio": "minio-data"}}

def resources():
    release = "kubernetes:helm.sh/v3:Release"
    storage = {{"metadataContainer": "flyte", "providerConfig": {{"s3": {{"endpoint": STORES[world["store"]]}}}}}}
    database = {{"host": HOSTS[TYPES["database"][world["database"]]]}}
    values = {{"values": {{"configuration": {{"database": database, "storage": storage}}}}}}
    found = [{{"urn": "urn:pulumi:dev::flyte-home::" + release + "::flyte", "type": release, "inputs": values}}]
    for name, options in world["components"].items():
        kind = "flyte-home:index:" + name
        def one(type_, resource, **more):
            urn = "urn:pulumi:dev::flyte-home::" + (kind if type_ == kind else kind + "$" + type_) + "::" + resource
            found.append({{"urn": urn, "type": type_, "id": "flyte/" + resource, **more}})
        outputs = {{"host": HOSTS.get(name, ""), "port": 5432, "database": "flyte", "username": "flyte"}}
        outputs |= {{"tls": "disable", "credentials": "postgres-credentials", "authority": ""}}
        one(kind, name.lower(), outputs=outputs)
        if name in SECRETS:
            one("kubernetes:core/v1:Secret", SECRETS[name])
        if name in CLAIMS:
            one("kubernetes:core/v1:PersistentVolumeClaim", CLAIMS[name], **options)
    return found

config = yaml.safe_load((program / "Pulumi.dev.yaml").read_text())["config"]
modes = {{part: config.get("flyte-home:" + key, {{}}).get("mode", "bundled")
         for part, key in (("database", "postgres"), ("store", "minio"))}}
wanted = [TYPES[part][mode] for part, mode in modes.items()]
if world["fails"] and world["fails"] in line:
    sys.exit("planted failure of pulumi")
if arguments[0] == "whoami":
    sys.exit(1)
if arguments[:2] == ["stack", "export"]:
    print(json.dumps({{"deployment": {{"resources": resources()}}}}))
if arguments[:2] == ["stack", "import"]:
    for one in json.load(sys.stdin)["deployment"]["resources"]:
        if one["type"] == "kubernetes:core/v1:PersistentVolumeClaim":
            name = one["urn"].split("$")[0].rpartition(":")[2]
            world["components"][name] = {{key: one[key] for key in ("protect", "retainOnDelete") if key in one}}
    effect("keep volumes")
if arguments[:2] == ["config", "get"]:
    print("planted-external-password")
if arguments[0] == "up" and "--target" in arguments:
    name = arguments[arguments.index("--target") + 1].rpartition(":")[2].rstrip("*")
    world["components"].setdefault(name, {{"protect": name in CLAIMS}})
    effect("deploy " + name)
elif arguments[0] == "up":
    for name in set(world["components"]) - set(wanted):
        options = world["components"].pop(name)
        if options.get("protect"):
            sys.exit(name + " is protected")
        if name in CLAIMS and not options.get("retainOnDelete"):
            effect("LOST " + CLAIMS[name])
    world["components"] = {{**dict.fromkeys(wanted, {{}}), **world["components"]}}
    world |= modes | {{"replicas": 1}}
    effect("up")
if arguments[0] == "destroy":
    name = arguments[arguments.index("--target") + 1].rpartition(":")[2].rstrip("*")
    options = world["components"].pop(name)
    effect("remove " + name + (" WITH ITS VOLUME" if name in CLAIMS and not options.get("retainOnDelete") else ""))
    if options.get("protect"):
        sys.exit(name + " is protected")
new = place.with_name("world-new.json")
new.write_text(json.dumps(world))
new.replace(place)
if world["kills"] and world["kills"] in line:
    os.kill(os.getppid(), signal.SIGKILL)
"""
