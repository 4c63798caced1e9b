// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/notifications.h"

#include <algorithm>

#include "cluster/kube/selector.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/gitops/set_template.h"
#include "delivery/gitops/when.h"

namespace caisson::gitops {
namespace {

constexpr std::string_view kSubscribe = "notifications.argoproj.io/subscribe.";
constexpr std::string_view kSubscriptions = "notifications.argoproj.io/subscriptions";
constexpr std::string_view kSlackApi = "https://slack.com/api";

// "$name" anywhere in the texts of a service.
Value with_secrets(const Value& value, const std::map<std::string, std::string>& secrets) {
  if (value.is_string()) {
    std::string text = value.str();
    for (auto one = secrets.rbegin(); one != secrets.rend(); ++one)
      text = replace_all(text, "$" + one->first, one->second);
    return Value(text);
  }
  if (value.is_list()) {
    Value out = Value::list();
    for (const Value& item : value.items()) out.push_back(with_secrets(item, secrets));
    return out;
  }
  if (!value.is_map()) return value;
  Value out = Value::map();
  for (const auto& [key, child] : value.entries()) out.set(key, with_secrets(child, secrets));
  return out;
}

struct Subscription {
  std::string trigger, service, recipient;
};

// The annotation `subscriptions`: [{trigger: […], destinations: [{service, recipients: […]}]}]; no trigger: the default
// ones. Errors: what is no such list.
Result<void> subscribe_list(std::string_view text, const Value& defaults, std::vector<Subscription>& out) {
  const Value list = TRY(yaml::read(text, {.name = std::string(kSubscriptions)}));
  for (const Value& one : list.items()) {
    const Value& triggers = one["trigger"].empty() ? defaults : one["trigger"];
    for (const Value& trigger : triggers.items()) {
      for (const Value& destination : one["destinations"].items())
        for (const Value& recipient : destination["recipients"].items())
          out.push_back({trigger.str(), destination["service"].str(), recipient.str()});
    }
  }
  if (list.is_list()) return {};
  return Error{ErrorCode::invalid, std::string(kSubscriptions) + " must be a list"};
}

void subscribe(const Value& annotations, const Value& defaults, std::vector<Subscription>& out,
               std::vector<std::string>& errors) {
  for (const auto& [key, value] : annotations.entries()) {
    if (key == kSubscriptions) {
      const auto read = subscribe_list(value.as_string(), defaults, out);
      if (!read.ok()) errors.push_back(read.error().message);
    }
    if (!key.starts_with(kSubscribe)) continue;
    const std::string_view rest = key.substr(kSubscribe.size());
    const std::size_t dot = rest.find('.');
    std::vector<std::string> triggers;
    std::string service(rest);
    // subscribe.TRIGGER.SERVICE; subscribe.SERVICE means the default triggers. A webhook's name holds no dot.
    if (dot != std::string_view::npos && rest.substr(0, dot) != "webhook") {
      triggers.emplace_back(rest.substr(0, dot));
      service = rest.substr(dot + 1);
    } else {
      for (const Value& one : defaults.items()) triggers.push_back(one.str());
    }
    for (std::string_view recipient : split(value.as_string(), ';')) {
      for (const std::string& trigger : triggers) out.push_back({trigger, service, std::string(trim(recipient))});
    }
  }
}

class Planner {
 public:
  Planner(const kube::Object& application, const NotificationConfig& config, Time now)
      : app_(application), config_(config), now_(now) {
    environment_.set("app", application.value());
    environment_.set("context", config.context);
    auto told = json::parse(application.annotation(kNotifiedAnnotation));
    if (told.ok()) told_ = *told;
  }

  NotificationPlan run(const kube::Object* project) {
    std::vector<Subscription> list;
    subscribe(app_.metadata()["annotations"], config_.default_triggers, list, out_.errors);
    if (project) subscribe(project->metadata()["annotations"], config_.default_triggers, list, out_.errors);
    for (const Value& one : config_.subscriptions.items()) general(one, list);
    for (const Subscription& one : list) consider(one);
    return std::move(out_);
  }

 private:
  void general(const Value& one, std::vector<Subscription>& list) {
    if (const std::string selector = one["selector"].str(); !selector.empty()) {
      const auto parsed = kube::LabelSelector::parse(selector);
      if (!parsed.ok()) return void(out_.errors.push_back("subscriptions: " + parsed.error().message));
      if (!parsed->matches(app_.metadata()["labels"])) return;
    }
    for (const Value& recipient : one["recipients"].items()) {
      const std::string text = recipient.str();
      const std::size_t colon = text.find(':');
      for (const Value& trigger : one["triggers"].items())
        list.push_back(
            {trigger.str(), text.substr(0, colon), colon == std::string::npos ? "" : text.substr(colon + 1)});
    }
  }

  void consider(const Subscription& to) {
    const auto trigger = config_.triggers.find(to.trigger);
    if (trigger == config_.triggers.end())
      return void(out_.errors.push_back("trigger " + to.trigger + " is not defined"));
    std::size_t index = 0;
    for (const Value& condition : trigger->second.items()) {
      const std::string key = to.trigger + ":[" + std::to_string(index++) + "]:" + to.service + ":" + to.recipient;
      const auto holds = evaluate_when(condition["when"].as_string(), environment_, now_);
      if (!holds.ok()) {
        out_.errors.push_back("trigger " + to.trigger + ": " + holds.error().message);
        continue;
      }
      std::string once = key;
      if (const std::string_view per = condition["oncePer"].as_string(); !per.empty()) {
        const auto value = evaluate_when(per, environment_, now_);
        if (value.ok()) once = value->scalar_text() + ":" + key;
      }
      if (!holds->as_bool()) {
        if (once == key && told_.contains(key)) out_.forget.push_back(key);
        continue;
      }
      if (told_.contains(once)) continue;
      for (const Value& name : condition["send"].items()) make(to, name.str(), once);
    }
  }

  void make(const Subscription& to, const std::string& template_name, const std::string& key) {
    const auto found = config_.templates.find(template_name);
    if (found == config_.templates.end())
      return void(out_.errors.push_back("template " + template_name + " is not defined"));
    const auto service = config_.services.find(to.service);
    if (service == config_.services.end())
      return void(out_.errors.push_back("service " + to.service + " is not configured"));
    auto filled = fill(found->second, environment_, {.go = true});
    if (!filled.ok()) return void(out_.errors.push_back("template " + template_name + ": " + filled.error().message));
    Notification out;
    out.key = key;
    if (to.service == "slack"                ? slack(to, service->second, *filled, out)
        : to.service == "discord"            ? discord(to, service->second, *filled, out)
        : to.service == "teams"              ? teams(to, service->second, *filled, out)
        : is_email(to.service)               ? email(to, service->second, *filled, out)
        : to.service.starts_with("webhook.") ? webhook(to, service->second, *filled, out)
                                             : false) {
      out_.send.push_back(std::move(out));
    } else {
      out_.errors.push_back("service " + to.service + " is not supported, or does not know the recipient");
    }
  }

  static bool slack(const Subscription& to, const Value& service, const Value& filled, Notification& out) {
    const std::string api = service["apiURL"].as_string().empty() ? std::string(kSlackApi) : service["apiURL"].str();
    Value body{{"channel", to.recipient}, {"text", filled["message"].str()}};
    for (std::string_view part : {"attachments", "blocks"}) {
      const auto parsed = json::parse(filled["slack"][part].as_string());
      if (parsed.ok()) body.set(part, *parsed);
    }
    if (!service["username"].is_null()) body.set("username", service["username"]);
    if (!service["icon"].is_null()) body.set("icon_emoji", service["icon"]);
    out.url = api + "/chat.postMessage";
    out.headers = {{"Authorization", "Bearer " + service["token"].str()},
                   {"Content-Type", "application/json; charset=utf-8"}};
    out.body = json::write(body);
    return true;
  }

  // An incoming webhook of Discord: the message, and embeds where the template has them.
  static bool discord(const Subscription& to, const Value& service, const Value& filled, Notification& out) {
    out.url = service["recipientUrls"][to.recipient].str();
    Value body{{"content", filled["message"].str()}};
    const auto embeds = json::parse(filled["discord"]["embeds"].as_string());
    if (embeds.ok()) body.set("embeds", *embeds);
    if (!service["username"].is_null()) body.set("username", service["username"]);
    out.headers = {{"Content-Type", "application/json"}};
    out.body = json::write(body);
    return !out.url.empty();
  }

  static bool teams(const Subscription& to, const Value& service, const Value& filled, Notification& out) {
    out.url = service["recipientUrls"][to.recipient].str();
    if (const std::string_view whole = filled["teams"]["template"].as_string(); !whole.empty()) {
      out.body = std::string(whole);
    } else {
      Value body{{"@type", "MessageCard"}, {"@context", "https://schema.org/extensions"}};
      const Value& teams = filled["teams"];
      body.set("text", teams["text"].is_null() ? filled["message"] : teams["text"]);
      for (std::string_view part : {"title", "summary", "themeColor"}) {
        if (!teams[part].is_null()) body.set(part, teams[part]);
      }
      // Texts of JSON; facts are a section of their own.
      const auto list = [&](std::string_view part) {
        const auto parsed = json::parse(teams[part].as_string());
        return parsed.ok() && parsed->is_list() ? *parsed : Value::list();
      };
      Value sections = list("sections");
      if (const Value facts = list("facts"); !facts.empty()) sections.push_back(Value{{"facts", facts}});
      if (!sections.empty()) body.set("sections", std::move(sections));
      if (const Value actions = list("potentialAction"); !actions.empty()) body.set("potentialAction", actions);
      out.body = json::write(body);
    }
    out.headers = {{"Content-Type", "application/json"}};
    return !out.url.empty();
  }

  static bool is_email(const std::string& service) { return service == "email" || service.starts_with("email."); }

  // The service's `html` says what the body is; a name and a password go over TLS alone.
  static bool email(const Subscription& to, const Value& service, const Value& filled, Notification& out) {
    MailNotice notice;
    notice.server.host = service["host"].str();
    notice.server.port = static_cast<int>(service["port"].as_int(587));
    notice.server.username = service["username"].str();
    notice.server.password = service["password"].str();
    notice.server.implicit_tls = notice.server.port == 465;
    notice.server.require_tls = !notice.server.username.empty();
    notice.server.verify = !service["insecure_skip_verify"].as_bool();
    notice.mail.from = service["from"].str();
    for (std::string_view one : split(to.recipient, ',')) notice.mail.to.emplace_back(trim(one));
    const Value& written = filled["email"];
    notice.mail.headers = {{"Subject", written["subject"].str()}};
    out.body = written["body"].as_string().empty() ? filled["message"].str() : written["body"].str();
    (service["html"].as_bool() ? notice.mail.html : notice.mail.text) = out.body;
    const bool complete = !notice.server.host.empty() && !notice.mail.from.empty() && !to.recipient.empty();
    out.mail = std::move(notice);
    return complete;
  }

  static bool webhook(const Subscription& to, const Value& service, const Value& filled, Notification& out) {
    const Value& wanted = filled["webhook"][to.service.substr(8)];
    out.method = wanted["method"].as_string().empty() ? "GET" : wanted["method"].str();
    out.url = service["url"].str();
    if (const std::string path = wanted["path"].str(); !path.empty()) {
      while (!out.url.empty() && out.url.back() == '/') out.url.pop_back();
      out.url += (path.starts_with('/') ? "" : "/") + path;
    }
    out.body = wanted["body"].str();
    for (const Value& header : service["headers"].items())
      out.headers.emplace_back(header["name"].str(), header["value"].str());
    if (service["basicAuth"].is_map()) {
      const Value& basic = service["basicAuth"];
      out.headers.emplace_back("Authorization",
                               "Basic " + base64(basic["username"].str() + ":" + basic["password"].str()));
    }
    return !out.url.empty();
  }

  const kube::Object& app_;
  const NotificationConfig& config_;
  const Time now_;
  Value environment_ = Value::map(), told_ = Value::map();
  NotificationPlan out_;
};

}  // namespace

NotificationConfig parse_notifications(const Value& data, const std::map<std::string, std::string>& secrets) {
  NotificationConfig out;
  for (const auto& [key, value] : data.entries()) {
    auto parsed = yaml::read(value.as_string(), {.name = "argocd-notifications-cm " + std::string(key)});
    if (!parsed.ok()) {
      out.errors.push_back(parsed.error().message);
      continue;
    }
    const auto name = [&](std::string_view prefix) { return std::string(key.substr(prefix.size())); };
    if (key.starts_with("service.")) out.services[name("service.")] = with_secrets(*parsed, secrets);
    if (key.starts_with("template.")) out.templates[name("template.")] = *parsed;
    if (key.starts_with("trigger.")) out.triggers[name("trigger.")] = *parsed;
    if (key == "context") out.context = *parsed;
    if (key == "subscriptions") out.subscriptions = *parsed;
    if (key == "defaultTriggers") out.default_triggers = *parsed;
  }
  return out;
}

NotificationPlan plan_notifications(const kube::Object& application, const kube::Object* project,
                                    const NotificationConfig& config, Time now) {
  return Planner(application, config, now).run(project);
}

}  // namespace caisson::gitops
