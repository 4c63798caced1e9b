-- SPDX-License-Identifier: Apache-2.0
-- Operators of databases, queues, search and storage.

rule("acid.zalan.do/postgresql", by_word {
  path = {"status", "PostgresClusterStatus"}, waiting = "Waiting for postgres cluster status...", otherwise = Degraded,
  words = {Running = Healthy, Creating = Progressing, Updating = Progressing, UpdateInProgress = Progressing},
})

-- CloudNativePG
local cnpg_bad = {
  "Failing over", "Cluster is unrecoverable and needs manual intervention", "Not enough disk space",
  "Cannot execute instance online upgrade", "Upgrade of primary instance failed",
  "Unable to create required cluster objects",
}
rule("postgresql.cnpg.io/Cluster", function(obj)
  local asleep = condition(obj, "cnpg.io/hibernation")
  if is(asleep, "True") then return Suspended, asleep.message end
  if at(obj, "metadata", "annotations", "cnpg.io/reconciliationLoop") == "disabled" then
    return Suspended, "Cluster reconciliation is suspended"
  end
  local phase = at(obj, "status", "phase")
  if not phase then return Progressing, "Waiting for Cluster" end
  local text = at(obj, "status", "phaseReason") or phase
  if phase == "Cluster in healthy state" then return Healthy, at(obj, "status", "phaseReason") end
  if one_of(phase, cnpg_bad) then return Degraded, text end
  return Progressing, text
end)
rule("postgresql.cnpg.io/Backup", by_word {
  path = {"status", "phase"}, waiting = "Waiting for Backup", words = {completed = Healthy, failed = Degraded},
  say = function(word, obj) return at(obj, "status", "error") or word end,
})

rule("cassandra.rook.io/Cluster", function(obj)
  local racks, ready = at(obj, "status", "racks") or {}, next(at(obj, "status", "racks") or {}) ~= nil
  for _, rack in pairs(racks) do
    if number(rack.readyMembers) ~= number(rack.members) then ready = false end
  end
  if ready then return Healthy end
  return Progressing, "Waiting for Cassandra Cluster"
end)

-- MariaDB operator
local function mariadb(obj)
  local ready = condition(obj, "Ready")
  if not ready then return Progressing, "No status info available" end
  if is(ready, "True") then return Healthy, ready.message end
  if ready.reason == "Failed" then return Degraded, ready.message end
  return Progressing, ready.message
end
rule({"mariadb.mmontes.io/MariaDB", "k8s.mariadb.com/MariaDB", "k8s.mariadb.com/MaxScale"}, mariadb)
rule("k8s.mariadb.com/*", by_condition {waiting = "No status info available", transient = {"RestoreNotComplete"}})
rule({"k8s.mariadb.com/Backup", "k8s.mariadb.com/SqlJob", "k8s.mariadb.com/Restore", "k8s.mariadb.com/PhysicalBackup"},
  function(obj)
    local done = condition(obj, "Complete")
    if not done then return Progressing, "No status info available" end
    local text = (done.reason or "") .. " " .. (done.message or "")
    if one_of(done.reason, {"JobFailed", "CronJobFailed"}) or done.message == "Failed" then return Degraded, text end
    if is(done, "True") or one_of(done.reason, {"CronJobScheduled", "CronJobSucess", "CronJobSuccess"}) then
      return Healthy, text
    end
    return Progressing, text
  end)

-- Strimzi
for kind, noun in pairs {
  Kafka = "Kafka Cluster", KafkaTopic = "Kafka Topic", KafkaUser = "Kafka User", KafkaConnect = "Kafka Connect",
  KafkaBridge = "Kafka Bridge", KafkaMirrorMaker2 = "Kafka Mirror Maker 2", KafkaConnector = "KafkaConnector",
  KafkaNodePool = "Kafka Node Pool", KafkaRebalance = "Kafka Rebalance",
} do
  rule("kafka.strimzi.io/" .. kind, function(obj)
    local ready, not_ready = condition(obj, "Ready"), condition(obj, "NotReady")
    if is(not_ready, "True") then
      if not_ready.reason == "Creating" then return Progressing, not_ready.message end
      return Degraded, not_ready.message
    end
    if is(ready, "True") then return Healthy end
    if is(ready, "False") then return Degraded, ready.message end
    return Progressing, "Waiting for " .. noun
  end)
end

-- Confluent for Kubernetes
rule("platform.confluent.io/*", function(obj)
  local phase = at(obj, "status", "phase") or at(obj, "status", "state")
  if phase == nil or phase == "" then return Progressing, "Waiting for " .. obj.kind end
  local text = obj.kind .. " " .. phase:lower()
  if one_of(phase, {"RUNNING", "CREATED"}) then return Healthy, text end
  if one_of(phase, {"FAILED", "ERROR", "DEGRADED"}) then return Degraded, text end
  return Progressing, text
end)
rule("platform.confluent.io/Connector", function(obj)
  local status = obj.status or {}
  local ready = condition(obj, "platform.confluent.io/app-ready")
  if status.state == "ERROR" or is(ready, "False") then return Degraded, ready and ready.message end
  if number(status.failedTasksCount) > 0 then return Degraded, "Connector has failed tasks" end
  local state = status.connectorState
  if state == "RUNNING" then return Healthy, "Connector running" end
  if state == "PAUSED" then return Suspended, "Connector paused" end
  if state == "FAILED" then return Degraded, "Connector failed" end
  return Progressing, "Waiting for Connector"
end)

-- RabbitMQ
for kind, noun in pairs {
  Binding = "binding", Policy = "policy", Queue = "queue", User = "user", Vhost = "vhost", Exchange = "exchange",
  Permission = "permission", Shovel = "shovel", Federation = "federation", SchemaReplication = "schema replication",
  TopicPermission = "topic permission", SuperStream = "super stream", OperatorPolicy = "operator policy",
} do
  rule("rabbitmq.com/" .. kind, function(obj)
    local ready = condition(obj, "Ready")
    if is(ready, "True") then return Healthy, "RabbitMQ " .. noun .. " ready" end
    if is(ready, "False") and ready.reason == "FailedCreateOrUpdate" then
      return Degraded, "RabbitMQ " .. noun .. " failed to be created or updated"
    end
    return Unknown, "RabbitMQ " .. noun .. " status is unknown"
  end)
end

rule("rabbitmq.com/RabbitmqCluster", function(obj)
  if not obj.status then return Progressing, "Waiting for RabbitMQ Operator" end
  local reconciled = condition(obj, "ReconcileSuccess")
  if is(reconciled, "False") then return Degraded, reconciled.message end
  local replicas, available = condition(obj, "AllReplicasReady"), condition(obj, "ClusterAvailable")
  if not replicas and not available then return Progressing, "Waiting for RabbitMQ Operator" end
  for _, one in ipairs {replicas, available} do
    if one and not is(one, "True") and not is(one, "False") then
      return Progressing, "Waiting for RabbitMQ cluster readiness (conditions unknown)"
    end
  end
  if not is(available, "True") then return Progressing, "Waiting for RabbitMQ cluster formation" end
  if not is(replicas, "True") then return Progressing, "Waiting for RabbitMQ instances ready" end
  return Healthy, "RabbitMQ cluster ready"
end)

-- Percona
rule("pxc.percona.com/PerconaXtraDBCluster", function(obj)
  local status = obj.status
  if not status or not status.state then return Progressing, "Waiting for cluster" end
  local ready = number(status.ready) .. "/" .. number(status.size) .. " node(s) are ready"
  if status.state == "initializing" then return Progressing, ready end
  if status.state == "ready" then return Healthy, ready end
  if status.state == "paused" then return Unknown, "Cluster is paused" end
  if status.state == "stopping" then return Degraded, "Cluster is stopping (" .. ready .. ")" end
  if status.state == "error" then
    local message = status.message or {}
    return Degraded, "Cluster is on error: " .. (type(message) == "table" and table.concat(message, ", ") or message)
  end
  return Unknown, "Cluster status is unknown. Ensure your ArgoCD is current and then check for/file a bug report: " ..
    "https://github.com/argoproj/argo-cd/issues"
end)

-- Altinity
local function altinity(noun)
  return by_word {
    path = {"status", "status"}, words = {Completed = Healthy, InProgress = Progressing}, otherwise = Degraded,
    waiting = noun .. " status not yet available",
    say = function(word)
      if word == "Completed" then return noun .. " installation completed successfully" end
      if word == "InProgress" then return noun .. " installation in progress" end
      return noun .. " status: " .. word
    end,
  }
end
rule("clickhouse.altinity.com/ClickHouseInstallation", altinity("ClickHouse"))
rule("clickhouse-keeper.altinity.com/ClickHouseKeeperInstallation", altinity("ClickHouseKeeper"))

-- Elastic Cloud on Kubernetes
rule("beat.k8s.elastic.co/Beat", function(obj)
  local status = obj.status or {}
  if status.health == "green" then return Healthy, "Elastic Beat status is Green" end
  if status.health == "red" then return Degraded, "Elastic Beat status is Red" end
  if status.health == "yellow" or (status.health == nil and status.expectedNodes) then
    if status.availableNodes and number(status.availableNodes) < number(status.expectedNodes) then
      return Progressing, "Elastic Beat status is deploying, there is " .. status.availableNodes ..
        " instance(s) on " .. status.expectedNodes .. " expected"
    end
    return Progressing, "Elastic Beat phase is progressing"
  end
  return Unknown, "Elastic Beat status is unknown. Ensure your ArgoCD is current and then check for/file a bug " ..
    "report: https://github.com/argoproj/argo-cd/issues"
end)
local function elastic(noun, waiting)
  return by_word {
    path = {"status", "health"}, words = {green = Healthy, yellow = Progressing, red = Degraded}, otherwise = Unknown,
    waiting = waiting, say = function(word) return noun .. " status is " .. word:sub(1, 1):upper() .. word:sub(2) end,
  }
end
rule("logstash.k8s.elastic.co/Logstash", elastic("Logstash", "Waiting for Logstash"))
rule({"elasticsearch.k8s.elastic.co/Elasticsearch"}, elastic("Elasticsearch Cluster", "Waiting for Elasticsearch"))
rule("*.k8s.elastic.co/*", function(obj) return elastic("Elastic " .. obj.kind, "Waiting for " .. obj.kind)(obj) end)

rule("minio.min.io/Tenant", by_word {
  path = {"status", "currentState"}, waiting = "No status info available",
  words = {
    Initialized = Healthy, ["Statefulset not controlled by operator"] = Degraded,
    ["Another MinIO Tenant already exists in the namespace"] = Degraded,
    ["Tenant credentials are not set properly"] = Degraded, ["Different versions across MinIO Pools"] = Degraded,
    ["Pool Decommissioning Not Allowed"] = Degraded,
  },
})

rule("solr.apache.org/SolrCloud", function(obj)
  local status = obj.status
  if not status or not status.solrNodes then return Progressing, "Waiting for solr to exist" end
  for _, node in ipairs(status.solrNodes) do
    if not node.ready then return Progressing, "Not all replicas are ready" end
  end
  if number(status.readyReplicas) < number(status.replicas) then return Progressing, "Not all replicas are ready" end
  return Healthy, "Solr is ready"
end)

-- LogScale (Humio)
rule("core.humio.com/*", by_word {
  path = {"status", "state"}, waiting = "Update in progress",
  words = {
    Exists = Healthy, Running = Healthy, NotFound = Missing, ConfigError = Degraded, Unknown = Unknown,
    Restarting = Progressing, Upgrading = Progressing, Pending = Progressing,
  },
  otherwise = Unknown, say = function(word) return "Component state: " .. word .. "." end,
})

-- NetApp
rule("astra.netapp.io/*", function(obj)
  local state = at(obj, "status", "state")
  if state == nil or state == "" then return Progressing, "No status available" end
  local text = obj.kind .. " " .. state:sub(1, 1):upper() .. state:sub(2)
  local word = state:lower()
  if one_of(word, {"completed", "available", "ready"}) then return Healthy, text end
  if one_of(word, {"failed", "error"}) then return Degraded, obj.kind == "AppVault" and text or state end
  return Progressing, text
end)
rule("astra.netapp.io/Schedule", function(obj)
  local last = at(obj, "status", "lastScheduleTime")
  if last then return Healthy, "Protection policy lastScheduleTime: " .. last end
  return Healthy, "Protection policy not yet executed"
end)
rule("trident.netapp.io/TridentBackendConfig", function(obj)
  local word, message = at(obj, "status", "lastOperationStatus"), at(obj, "status", "message")
  if word == "Failed" then return Degraded, message end
  if word == "Success" then return Healthy, message end
  return Progressing, "Waiting for backend creation"
end)
rule("trident.netapp.io/TridentOrchestrator", function(obj)
  local word, message = at(obj, "status", "status"), at(obj, "status", "message")
  if one_of(word, {"Error", "Failed"}) then return Degraded, message end
  if one_of(word, {"Installed", "Updated"}) then return Healthy, message end
  return Progressing, "Waiting for trident installation"
end)

rule("snapshot.storage.k8s.io/*", function(obj)
  local failure = at(obj, "status", "error")
  if failure then return Degraded, failure.message end
  if at(obj, "status", "readyToUse") then return Healthy, "Ready to use" end
  return Progressing, "Waiting for status"
end)

-- A word of their own each
rule("ocs.openshift.io/StorageCluster", function(obj)
  local degraded, working = any_of(obj, {"Degraded"}), any_of(obj, {"Progressing"})
  local available = any_of(obj, {"Available"})
  if degraded then return Degraded, degraded.message end
  if working then return Progressing, working.message end
  if available then return Healthy, available.message end
  return Progressing, "Waiting for StorageCluster"
end)
rule({"ceph.rook.io/*"}, by_word {
  path = {"status", "phase"}, waiting = waiting_for_kind,
  words = {Ready = Healthy, Failure = Degraded, Error = Degraded},
})
rule("druid.apache.org/Druid", by_condition {condition = "DruidClusterReady", waiting = "Waiting for Druid"})
rule({"redis.redis.opstreelabs.in/*", "mongodbcommunity.mongodb.com/MongoDBCommunity"}, by_word {
  path = {"status", "phase"}, waiting = waiting_for_kind,
  words = {Running = Healthy, Ready = Healthy, Failed = Degraded},
  say = function(word, obj) return at(obj, "status", "message") or word end,
})
