// SPDX-License-Identifier: Apache-2.0
// Conversion: objects of a custom resource from the version they are kept in to the one that is asked for, by the
// strategy of their definition: None changes apiVersion alone, Webhook asks the definition's server with a
// ConversionReview (apiextensions.k8s.io/v1). Built-in kinds convert as in_version does. Follows
// apiextensions-apiserver 1.33's pkg/apiserver/conversion. Threads: any; a webhook blocks the caller.
#pragma once
#include <vector>

#include "cluster/apiserver/webhook_client.h"
#include "cluster/schema/schema.h"

namespace caisson::apiserver {

class Conversion {
 public:
  Conversion(const store::Store& store, const schema::Schema& schema, const WebhookClient& webhooks)
      : store_(store), schema_(schema), webhooks_(webhooks) {}

  // `object` as `kind` has it. Errors: internal when the webhook can't be asked or its answer can't be used.
  Result<Value> convert(const schema::KindSchema& kind, const Value& object) const;
  // The same for many, in one review; order is kept.
  Result<std::vector<Value>> convert(const schema::KindSchema& kind, std::vector<Value> objects) const;
  // As it is to be stored: in the storage version when the definition has a webhook, else unchanged.
  Result<Value> to_storage(const schema::KindSchema& kind, const Value& object) const;
  // Does a webhook convert objects of this kind?
  bool asks(const schema::KindSchema& kind) const;

 private:
  Value webhook_of(const schema::KindSchema& kind) const;  // spec.conversion.webhook; null: none
  const store::Store& store_;
  const schema::Schema& schema_;
  const WebhookClient& webhooks_;
};

}  // namespace caisson::apiserver
