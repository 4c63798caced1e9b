// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/controllers.h"
#include "cluster/controllers/certificate_signing.h"

#include "cluster/controllers/cron_job.h"
#include "cluster/controllers/daemon_set.h"
#include "cluster/controllers/deployment.h"
#include "cluster/controllers/disruption.h"
#include "cluster/controllers/endpoints.h"
#include "cluster/controllers/endpoints_mirroring.h"
#include "cluster/controllers/garbage_collector.h"
#include "cluster/controllers/horizontal_pod_autoscaler.h"
#include "cluster/controllers/job.h"
#include "cluster/controllers/namespace.h"
#include "cluster/controllers/node_lifecycle.h"
#include "cluster/controllers/policy_status.h"
#include "cluster/controllers/replica_set.h"
#include "cluster/controllers/resource_quota.h"
#include "cluster/controllers/retention.h"
#include "cluster/controllers/scheduler.h"
#include "cluster/controllers/service_account.h"
#include "cluster/controllers/stateful_set.h"
#include "cluster/controllers/taint_eviction.h"
#include "cluster/controllers/volume_protection.h"
#include "cluster/controllers/volumes.h"

namespace caisson::controllers {

void add_controllers(kube::Runtime& runtime, const ControllersOptions& options) {
  add_certificate_signing(runtime, options.signer);
  add_namespace(runtime);
  add_service_account(runtime, options.ca_pem);
  add_deployment(runtime);
  add_replica_set(runtime);
  add_replication_controller(runtime);
  add_stateful_set(runtime);
  add_daemon_set(runtime);
  add_job(runtime);
  add_cron_job(runtime);
  add_horizontal_pod_autoscaler(runtime);
  add_scheduler(runtime, options.spans);
  add_endpoints(runtime);
  add_endpoints_mirroring(runtime);
  add_volume_binder(runtime, options.volumes_root);
  add_volume_protection(runtime);
  add_node_lifecycle(runtime, options.node_grace);
  add_taint_eviction(runtime);
  add_garbage_collector(runtime);
  add_resource_quota(runtime);
  if (options.schema != nullptr) add_policy_status(runtime, *options.schema);
  add_disruption(runtime);
  add_retention(runtime, options.event_ttl, options.traces_max);
}

}  // namespace caisson::controllers
