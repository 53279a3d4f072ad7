-- Flyte's own schema (v1.16.8), as its migrations leave it: pg_dump --schema-only, without owners.
CREATE TABLE public.artifact_data (
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    dataset_project text NOT NULL,
    dataset_name text NOT NULL,
    dataset_domain text NOT NULL,
    dataset_version text NOT NULL,
    artifact_id text NOT NULL,
    name text NOT NULL,
    location text
);
CREATE TABLE public.artifacts (
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    dataset_project text NOT NULL,
    dataset_name text NOT NULL,
    dataset_domain text NOT NULL,
    dataset_version text NOT NULL,
    artifact_id text NOT NULL,
    dataset_uuid uuid,
    serialized_metadata bytea
);
CREATE TABLE public.datasets (
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    project text NOT NULL,
    name text NOT NULL,
    domain text NOT NULL,
    version text NOT NULL,
    uuid uuid,
    serialized_metadata bytea
);
CREATE TABLE public.description_entities (
    resource_type integer NOT NULL,
    project text NOT NULL,
    domain text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    short_description text,
    long_description bytea,
    link text
);
CREATE SEQUENCE public.description_entities_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.description_entities_id_seq OWNED BY public.description_entities.id;
CREATE TABLE public.execution_events (
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    execution_project text NOT NULL,
    execution_domain text NOT NULL,
    execution_name text NOT NULL,
    request_id text,
    occurred_at timestamp with time zone,
    phase text NOT NULL
);
CREATE SEQUENCE public.execution_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.execution_events_id_seq OWNED BY public.execution_events.id;
CREATE TABLE public.execution_tags (
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    execution_project character varying(255) NOT NULL,
    execution_domain character varying(255) NOT NULL,
    execution_name character varying(255) NOT NULL,
    key character varying(255) NOT NULL,
    value character varying(255) NOT NULL
);
CREATE SEQUENCE public.execution_tags_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.execution_tags_id_seq OWNED BY public.execution_tags.id;
CREATE TABLE public.executions (
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    execution_project text NOT NULL,
    execution_domain text NOT NULL,
    execution_name text NOT NULL,
    launch_plan_id bigint,
    workflow_id bigint,
    task_id bigint,
    phase text,
    closure bytea,
    spec bytea NOT NULL,
    started_at timestamp with time zone,
    execution_created_at timestamp with time zone,
    execution_updated_at timestamp with time zone,
    duration bigint,
    abort_cause text,
    mode integer,
    source_execution_id bigint,
    parent_node_execution_id bigint,
    cluster text,
    inputs_uri text,
    user_inputs_uri text,
    error_kind text,
    error_code text,
    "user" text,
    state integer DEFAULT 0,
    launch_entity text
);
CREATE SEQUENCE public.executions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.executions_id_seq OWNED BY public.executions.id;
CREATE TABLE public.launch_plans (
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    project text NOT NULL,
    domain text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    spec bytea NOT NULL,
    workflow_id bigint,
    closure bytea NOT NULL,
    state integer DEFAULT 0,
    digest bytea,
    schedule_type text,
    launch_condition_type character varying(32)
);
CREATE SEQUENCE public.launch_plans_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.launch_plans_id_seq OWNED BY public.launch_plans.id;
CREATE TABLE public.migrations (
    id character varying(255) NOT NULL
);
CREATE TABLE public.named_entity_metadata (
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    resource_type integer NOT NULL,
    project text NOT NULL,
    domain text NOT NULL,
    name text NOT NULL,
    description character varying(300),
    state integer DEFAULT 0
);
CREATE SEQUENCE public.named_entity_metadata_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.named_entity_metadata_id_seq OWNED BY public.named_entity_metadata.id;
CREATE TABLE public.node_execution_events (
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    execution_project text NOT NULL,
    execution_domain text NOT NULL,
    execution_name text NOT NULL,
    node_id text NOT NULL,
    request_id text,
    occurred_at timestamp with time zone,
    phase text NOT NULL
);
CREATE SEQUENCE public.node_execution_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.node_execution_events_id_seq OWNED BY public.node_execution_events.id;
CREATE TABLE public.node_executions (
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    execution_project text NOT NULL,
    execution_domain text NOT NULL,
    execution_name text NOT NULL,
    node_id text NOT NULL,
    phase text,
    input_uri text,
    closure bytea,
    started_at timestamp with time zone,
    node_execution_created_at timestamp with time zone,
    node_execution_updated_at timestamp with time zone,
    duration bigint,
    parent_task_execution_id bigint,
    dynamic_workflow_remote_closure_reference text,
    internal_data bytea,
    node_execution_metadata bytea,
    parent_id bigint,
    error_kind text,
    error_code text,
    cache_status text
);
CREATE SEQUENCE public.node_executions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.node_executions_id_seq OWNED BY public.node_executions.id;
CREATE TABLE public.partition_keys (
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    dataset_uuid uuid NOT NULL,
    name text NOT NULL
);
CREATE TABLE public.partitions (
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    dataset_uuid uuid NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    artifact_id text NOT NULL
);
CREATE TABLE public.projects (
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    identifier text NOT NULL,
    name text,
    description character varying(300),
    labels bytea,
    state integer DEFAULT 0
);
CREATE SEQUENCE public.projects_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.projects_id_seq OWNED BY public.projects.id;
CREATE TABLE public.reservations (
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    dataset_project text NOT NULL,
    dataset_name text NOT NULL,
    dataset_domain text NOT NULL,
    dataset_version text NOT NULL,
    tag_name text NOT NULL,
    owner_id text,
    expires_at timestamp with time zone,
    serialized_metadata bytea
);
CREATE TABLE public.resources (
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    project text,
    domain text,
    workflow text,
    launch_plan text,
    resource_type text,
    priority integer,
    attributes bytea
);
CREATE SEQUENCE public.resources_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.resources_id_seq OWNED BY public.resources.id;
CREATE TABLE public.schedulable_entities (
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    project text NOT NULL,
    domain text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    cron_expression text,
    fixed_rate_value bigint,
    unit integer,
    kickoff_time_input_arg text,
    active boolean
);
CREATE SEQUENCE public.schedulable_entities_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.schedulable_entities_id_seq OWNED BY public.schedulable_entities.id;
CREATE TABLE public.schedule_entities_snapshots (
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    snapshot bytea
);
CREATE SEQUENCE public.schedule_entities_snapshots_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.schedule_entities_snapshots_id_seq OWNED BY public.schedule_entities_snapshots.id;
CREATE TABLE public.signals (
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    execution_project text NOT NULL,
    execution_domain text NOT NULL,
    execution_name text NOT NULL,
    signal_id text NOT NULL,
    type bytea NOT NULL,
    value bytea
);
CREATE SEQUENCE public.signals_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.signals_id_seq OWNED BY public.signals.id;
CREATE TABLE public.tags (
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    dataset_project text NOT NULL,
    dataset_name text NOT NULL,
    dataset_domain text NOT NULL,
    dataset_version text NOT NULL,
    tag_name text NOT NULL,
    artifact_id text,
    dataset_uuid uuid
);
CREATE TABLE public.task_executions (
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    project text NOT NULL,
    domain text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    execution_project text NOT NULL,
    execution_domain text NOT NULL,
    execution_name text NOT NULL,
    node_id text NOT NULL,
    retry_attempt bigint NOT NULL,
    phase text,
    phase_version bigint,
    input_uri text,
    closure bytea,
    started_at timestamp with time zone,
    task_execution_created_at timestamp with time zone,
    task_execution_updated_at timestamp with time zone,
    duration bigint
);
CREATE SEQUENCE public.task_executions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.task_executions_id_seq OWNED BY public.task_executions.id;
CREATE TABLE public.tasks (
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    project text NOT NULL,
    domain text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    closure bytea NOT NULL,
    digest bytea,
    type text,
    short_description text
);
CREATE SEQUENCE public.tasks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.tasks_id_seq OWNED BY public.tasks.id;
CREATE TABLE public.workflows (
    id bigint NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    project text NOT NULL,
    domain text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    typed_interface bytea,
    remote_closure_identifier text NOT NULL,
    digest bytea,
    short_description text
);
CREATE SEQUENCE public.workflows_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.workflows_id_seq OWNED BY public.workflows.id;
ALTER TABLE ONLY public.description_entities ALTER COLUMN id SET DEFAULT nextval('public.description_entities_id_seq'::regclass);
ALTER TABLE ONLY public.execution_events ALTER COLUMN id SET DEFAULT nextval('public.execution_events_id_seq'::regclass);
ALTER TABLE ONLY public.execution_tags ALTER COLUMN id SET DEFAULT nextval('public.execution_tags_id_seq'::regclass);
ALTER TABLE ONLY public.executions ALTER COLUMN id SET DEFAULT nextval('public.executions_id_seq'::regclass);
ALTER TABLE ONLY public.launch_plans ALTER COLUMN id SET DEFAULT nextval('public.launch_plans_id_seq'::regclass);
ALTER TABLE ONLY public.named_entity_metadata ALTER COLUMN id SET DEFAULT nextval('public.named_entity_metadata_id_seq'::regclass);
ALTER TABLE ONLY public.node_execution_events ALTER COLUMN id SET DEFAULT nextval('public.node_execution_events_id_seq'::regclass);
ALTER TABLE ONLY public.node_executions ALTER COLUMN id SET DEFAULT nextval('public.node_executions_id_seq'::regclass);
ALTER TABLE ONLY public.projects ALTER COLUMN id SET DEFAULT nextval('public.projects_id_seq'::regclass);
ALTER TABLE ONLY public.resources ALTER COLUMN id SET DEFAULT nextval('public.resources_id_seq'::regclass);
ALTER TABLE ONLY public.schedulable_entities ALTER COLUMN id SET DEFAULT nextval('public.schedulable_entities_id_seq'::regclass);
ALTER TABLE ONLY public.schedule_entities_snapshots ALTER COLUMN id SET DEFAULT nextval('public.schedule_entities_snapshots_id_seq'::regclass);
ALTER TABLE ONLY public.signals ALTER COLUMN id SET DEFAULT nextval('public.signals_id_seq'::regclass);
ALTER TABLE ONLY public.task_executions ALTER COLUMN id SET DEFAULT nextval('public.task_executions_id_seq'::regclass);
ALTER TABLE ONLY public.tasks ALTER COLUMN id SET DEFAULT nextval('public.tasks_id_seq'::regclass);
ALTER TABLE ONLY public.workflows ALTER COLUMN id SET DEFAULT nextval('public.workflows_id_seq'::regclass);
ALTER TABLE ONLY public.artifact_data
    ADD CONSTRAINT artifact_data_pkey PRIMARY KEY (dataset_project, dataset_name, dataset_domain, dataset_version, artifact_id, name);
ALTER TABLE ONLY public.artifacts
    ADD CONSTRAINT artifacts_pkey PRIMARY KEY (dataset_project, dataset_name, dataset_domain, dataset_version, artifact_id);
ALTER TABLE ONLY public.datasets
    ADD CONSTRAINT datasets_pkey PRIMARY KEY (project, name, domain, version);
ALTER TABLE ONLY public.description_entities
    ADD CONSTRAINT description_entities_pkey PRIMARY KEY (resource_type, project, domain, name, version);
ALTER TABLE ONLY public.execution_events
    ADD CONSTRAINT execution_events_pkey PRIMARY KEY (execution_project, execution_domain, execution_name, phase);
ALTER TABLE ONLY public.execution_tags
    ADD CONSTRAINT execution_tags_pkey PRIMARY KEY (execution_project, execution_domain, execution_name, key, value);
ALTER TABLE ONLY public.executions
    ADD CONSTRAINT executions_pkey PRIMARY KEY (execution_project, execution_domain, execution_name);
ALTER TABLE ONLY public.launch_plans
    ADD CONSTRAINT launch_plans_pkey PRIMARY KEY (project, domain, name, version);
ALTER TABLE ONLY public.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.named_entity_metadata
    ADD CONSTRAINT named_entity_metadata_pkey PRIMARY KEY (resource_type, project, domain, name);
ALTER TABLE ONLY public.node_execution_events
    ADD CONSTRAINT node_execution_events_pkey PRIMARY KEY (execution_project, execution_domain, execution_name, node_id, phase);
ALTER TABLE ONLY public.node_executions
    ADD CONSTRAINT node_executions_pkey PRIMARY KEY (execution_project, execution_domain, execution_name, node_id);
ALTER TABLE ONLY public.partition_keys
    ADD CONSTRAINT partition_keys_pkey PRIMARY KEY (dataset_uuid, name);
ALTER TABLE ONLY public.partitions
    ADD CONSTRAINT partitions_pkey PRIMARY KEY (dataset_uuid, key, value, artifact_id);
ALTER TABLE ONLY public.projects
    ADD CONSTRAINT projects_pkey PRIMARY KEY (identifier);
ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT reservations_pkey PRIMARY KEY (dataset_project, dataset_name, dataset_domain, dataset_version, tag_name);
ALTER TABLE ONLY public.resources
    ADD CONSTRAINT resources_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.schedulable_entities
    ADD CONSTRAINT schedulable_entities_pkey PRIMARY KEY (project, domain, name, version);
ALTER TABLE ONLY public.schedule_entities_snapshots
    ADD CONSTRAINT schedule_entities_snapshots_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.signals
    ADD CONSTRAINT signals_pkey PRIMARY KEY (execution_project, execution_domain, execution_name, signal_id);
ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_pkey PRIMARY KEY (dataset_project, dataset_name, dataset_domain, dataset_version, tag_name);
ALTER TABLE ONLY public.task_executions
    ADD CONSTRAINT task_executions_pkey PRIMARY KEY (project, domain, name, version, execution_project, execution_domain, execution_name, node_id, retry_attempt);
ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (project, domain, name, version);
ALTER TABLE ONLY public.datasets
    ADD CONSTRAINT uni_datasets_uuid UNIQUE (uuid);
ALTER TABLE ONLY public.workflows
    ADD CONSTRAINT workflows_pkey PRIMARY KEY (project, domain, name, version);
CREATE INDEX artifacts_dataset_uuid_idx ON public.artifacts USING btree (dataset_uuid);
CREATE INDEX dataset_domain_idx ON public.datasets USING btree (domain);
CREATE INDEX dataset_name_idx ON public.datasets USING btree (name);
CREATE INDEX dataset_version_idx ON public.datasets USING btree (version);
CREATE INDEX description_entity_project_domain_name_version_idx ON public.description_entities USING btree (resource_type, project, domain, name, version);
CREATE INDEX idx_description_entities_deleted_at ON public.description_entities USING btree (deleted_at);
CREATE INDEX idx_description_entities_id ON public.description_entities USING btree (id);
CREATE INDEX idx_execution_events_deleted_at ON public.execution_events USING btree (deleted_at);
CREATE INDEX idx_execution_events_id ON public.execution_events USING btree (id);
CREATE INDEX idx_execution_tags_deleted_at ON public.execution_tags USING btree (deleted_at);
CREATE INDEX idx_execution_tags_id ON public.execution_tags USING btree (id);
CREATE INDEX idx_executions_created_at ON public.executions USING btree (execution_created_at);
CREATE INDEX idx_executions_deleted_at ON public.executions USING btree (deleted_at);
CREATE INDEX idx_executions_error_kind ON public.executions USING btree (error_kind);
CREATE INDEX idx_executions_id ON public.executions USING btree (id);
CREATE INDEX idx_executions_launch_plan_id ON public.executions USING btree (launch_plan_id);
CREATE INDEX idx_executions_phase ON public.executions USING btree (phase);
CREATE INDEX idx_executions_state ON public.executions USING btree (state);
CREATE INDEX idx_executions_task_id ON public.executions USING btree (task_id);
CREATE INDEX idx_executions_user ON public.executions USING btree ("user");
CREATE INDEX idx_executions_workflow_id ON public.executions USING btree (workflow_id);
CREATE INDEX idx_launch_plans_deleted_at ON public.launch_plans USING btree (deleted_at);
CREATE INDEX idx_launch_plans_id ON public.launch_plans USING btree (id);
CREATE INDEX idx_launch_plans_launch_conditions ON public.launch_plans USING btree (launch_condition_type) WHERE (launch_condition_type IS NOT NULL);
CREATE INDEX idx_launch_plans_workflow_id ON public.launch_plans USING btree (workflow_id);
CREATE INDEX idx_named_entity_metadata_deleted_at ON public.named_entity_metadata USING btree (deleted_at);
CREATE INDEX idx_named_entity_metadata_id ON public.named_entity_metadata USING btree (id);
CREATE INDEX idx_node_execution_events_deleted_at ON public.node_execution_events USING btree (deleted_at);
CREATE INDEX idx_node_execution_events_id ON public.node_execution_events USING btree (id);
CREATE INDEX idx_node_execution_events_node_id ON public.node_execution_events USING btree (node_id);
CREATE INDEX idx_node_executions_deleted_at ON public.node_executions USING btree (deleted_at);
CREATE INDEX idx_node_executions_error_kind ON public.node_executions USING btree (error_kind);
CREATE INDEX idx_node_executions_id ON public.node_executions USING btree (id);
CREATE INDEX idx_node_executions_node_id ON public.node_executions USING btree (node_id);
CREATE INDEX idx_node_executions_parent_id ON public.node_executions USING btree (parent_id);
CREATE INDEX idx_node_executions_parent_task_execution_id ON public.node_executions USING btree (parent_task_execution_id);
CREATE INDEX idx_partitions_artifact_id ON public.partitions USING btree (artifact_id);
CREATE INDEX idx_projects_deleted_at ON public.projects USING btree (deleted_at);
CREATE INDEX idx_projects_id ON public.projects USING btree (id);
CREATE INDEX idx_projects_state ON public.projects USING btree (state);
CREATE INDEX idx_schedulable_entities_deleted_at ON public.schedulable_entities USING btree (deleted_at);
CREATE INDEX idx_schedulable_entities_id ON public.schedulable_entities USING btree (id);
CREATE INDEX idx_schedule_entities_snapshots_deleted_at ON public.schedule_entities_snapshots USING btree (deleted_at);
CREATE INDEX idx_schedule_entities_snapshots_id ON public.schedule_entities_snapshots USING btree (id);
CREATE INDEX idx_signals_deleted_at ON public.signals USING btree (deleted_at);
CREATE INDEX idx_signals_id ON public.signals USING btree (id);
CREATE INDEX idx_signals_signal_id ON public.signals USING btree (signal_id);
CREATE INDEX idx_task_executions_deleted_at ON public.task_executions USING btree (deleted_at);
CREATE INDEX idx_task_executions_exec ON public.task_executions USING btree (execution_project, execution_domain, execution_name, node_id);
CREATE INDEX idx_task_executions_id ON public.task_executions USING btree (id);
CREATE INDEX idx_task_executions_node_id ON public.task_executions USING btree (node_id);
CREATE INDEX idx_tasks_deleted_at ON public.tasks USING btree (deleted_at);
CREATE INDEX idx_tasks_id ON public.tasks USING btree (id);
CREATE INDEX idx_workflows_deleted_at ON public.workflows USING btree (deleted_at);
CREATE INDEX idx_workflows_id ON public.workflows USING btree (id);
CREATE INDEX lp_project_domain_name_idx ON public.launch_plans USING btree (project, domain, name);
CREATE INDEX named_entity_metadata_type_project_domain_name_idx ON public.named_entity_metadata USING btree (resource_type, project, domain, name);
CREATE UNIQUE INDEX resource_idx ON public.resources USING btree (project, domain, workflow, launch_plan, resource_type);
CREATE INDEX tag_key ON public.execution_tags USING btree (key);
CREATE INDEX tag_value ON public.execution_tags USING btree (value);
CREATE INDEX tags_dataset_uuid_artifact_id_idx ON public.tags USING btree (dataset_uuid, artifact_id);
CREATE INDEX tags_dataset_uuid_idx ON public.tags USING btree (dataset_uuid);
CREATE INDEX task_project_domain_idx ON public.tasks USING btree (project, domain);
CREATE INDEX task_project_domain_name_idx ON public.tasks USING btree (project, domain, name);
CREATE INDEX workflow_project_domain_idx ON public.workflows USING btree (project, domain);
CREATE INDEX workflow_project_domain_name_idx ON public.workflows USING btree (project, domain, name);