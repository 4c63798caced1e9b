// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/script.h"

#include <cstdlib>
#include <lua.hpp>

namespace caisson::gitops {
namespace {

constexpr int kHookEvery = 1000;
constexpr int kDepthMax = 64;  // of a value given or returned

struct Budget {
  ScriptLimits limits;
  std::size_t memory_bytes = 0;
  std::uint64_t instructions = 0;
  Duration deadline{0};
  enum class Spent { nothing, memory, time } spent = Spent::nothing;
};

Budget& budget_of(lua_State* state) {
  void* data = nullptr;
  lua_getallocf(state, &data);
  return *static_cast<Budget*>(data);
}

void* allocate(void* data, void* block, std::size_t before, std::size_t after) {
  auto& budget = *static_cast<Budget*>(data);
  if (!block) before = 0;  // then it is a type, not a size
  if (after == 0) {
    std::free(block);
    budget.memory_bytes -= before;
    return nullptr;
  }
  if (after > before && budget.memory_bytes + (after - before) > budget.limits.memory_bytes_max) {
    budget.spent = Budget::Spent::memory;
    return nullptr;
  }
  void* const grown = std::realloc(block, after);
  if (grown) budget.memory_bytes += after - before;
  return grown;
}

// Once the budget is spent every further instruction raises, so that a script's own pcall can't hold on.
void count_instructions(lua_State* state, lua_Debug*) {
  Budget& budget = budget_of(state);
  budget.instructions += kHookEvery;
  if (budget.spent != Budget::Spent::time && budget.instructions < budget.limits.instructions_max &&
      system_clock().monotonic() < budget.deadline)
    return;
  budget.spent = Budget::Spent::time;
  lua_sethook(state, count_instructions, LUA_MASKCOUNT, 1);
  luaL_error(state, "the script takes too long");
}

void push(lua_State* state, const Value& value, int depth) {
  if (depth > kDepthMax) luaL_error(state, "a value nests too deeply");
  luaL_checkstack(state, 4, "value");
  switch (value.kind()) {
    case ValueKind::null:
      return lua_pushnil(state);
    case ValueKind::boolean:
      return lua_pushboolean(state, value.as_bool());
    case ValueKind::integer:
      return lua_pushinteger(state, value.as_int());
    case ValueKind::floating:
      return lua_pushnumber(state, value.as_double());
    case ValueKind::string: {
      const std::string_view text = value.as_string();
      lua_pushlstring(state, text.data(), text.size());
      return;
    }
    case ValueKind::list: {
      lua_createtable(state, static_cast<int>(value.size()), 0);
      lua_Integer index = 0;
      for (const Value& item : value.items()) {
        push(state, item, depth + 1);
        lua_rawseti(state, -2, ++index);
      }
      return;
    }
    case ValueKind::map:
      lua_createtable(state, 0, static_cast<int>(value.size()));
      for (const document::MapEntry& entry : value.entries()) {
        lua_pushlstring(state, entry.key.data(), entry.key.size());
        push(state, entry.value, depth + 1);
        lua_rawset(state, -3);
      }
  }
}

Value table_value(lua_State* state, int index, const Value& like, int depth);

Value value_at(lua_State* state, int index, const Value& like, int depth) {
  switch (lua_type(state, index)) {
    case LUA_TBOOLEAN:
      return Value(lua_toboolean(state, index) != 0);
    case LUA_TNUMBER: {
      int whole = 0;
      const lua_Integer number = lua_tointegerx(state, index, &whole);
      return whole ? Value(static_cast<long long>(number)) : Value(lua_tonumber(state, index));
    }
    case LUA_TSTRING: {
      std::size_t size = 0;
      const char* text = lua_tolstring(state, index, &size);
      return Value(std::string_view(text, size));
    }
    case LUA_TTABLE:
      return table_value(state, index, like, depth);
    default:
      return Value();
  }
}

Value table_value(lua_State* state, int index, const Value& like, int depth) {
  if (depth > kDepthMax) luaL_error(state, "a value nests too deeply");
  luaL_checkstack(state, 4, "value");
  const lua_Unsigned length = lua_rawlen(state, index);
  if (length > 0) {
    Value list = Value::list();
    for (lua_Unsigned i = 1; i <= length; ++i) {
      lua_rawgeti(state, index, static_cast<lua_Integer>(i));
      list.push_back(value_at(state, lua_gettop(state), like[static_cast<std::size_t>(i - 1)], depth + 1));
      lua_pop(state, 1);
    }
    return list;
  }
  Value map = Value::map();
  lua_pushnil(state);
  while (lua_next(state, index) != 0) {
    if (lua_type(state, -2) == LUA_TSTRING) {
      std::size_t size = 0;
      const char* text = lua_tolstring(state, -2, &size);
      const std::string_view key(text, size);
      map.set(key, value_at(state, lua_gettop(state), like[key], depth + 1));
    }
    lua_pop(state, 1);
  }
  return map.empty() && like.is_list() ? Value::list() : map;
}

// The members of table `name` that a script may use; all others go.
void keep_only(lua_State* state, const char* name, std::initializer_list<const char*> members) {
  lua_getglobal(state, name);
  lua_newtable(state);
  for (const char* member : members) {
    lua_getfield(state, -2, member);
    lua_setfield(state, -2, member);
  }
  lua_setglobal(state, name);
  lua_pop(state, 1);
}

int open_libraries(lua_State* state) {
  luaL_requiref(state, "_G", luaopen_base, 1);
  luaL_requiref(state, "string", luaopen_string, 1);
  luaL_requiref(state, "table", luaopen_table, 1);
  luaL_requiref(state, "math", luaopen_math, 1);
  luaL_requiref(state, "os", luaopen_os, 1);
  lua_settop(state, 0);
  keep_only(state, "os", {"time", "date", "clock", "difftime"});
  for (const char* name : {"dofile", "loadfile", "load", "require", "collectgarbage", "print", "warn"}) {
    lua_pushnil(state);
    lua_setglobal(state, name);
  }
  lua_getglobal(state, "string");
  lua_pushnil(state);
  lua_setfield(state, -2, "dump");
  // Of Lua 5.1, which scripts written for Argo CD expect.
  lua_getglobal(state, "table");
  lua_getfield(state, -1, "unpack");
  lua_setglobal(state, "unpack");
  lua_getglobal(state, "math");
  lua_pushcfunction(state, [](lua_State* s) {
    lua_pushnumber(s, luaL_checknumber(s, 1));
    lua_pushnumber(s, luaL_checknumber(s, 2));
    lua_arith(s, LUA_OPPOW);
    return 1;
  });
  lua_setfield(state, -2, "pow");
  lua_settop(state, 0);
  return 0;
}

}  // namespace

struct LuaState::Impl {
  Budget budget;
  lua_State* state = nullptr;

  ~Impl() {
    if (state) lua_close(state);
  }

  void refill() {
    budget.instructions = 0;
    budget.spent = Budget::Spent::nothing;
    budget.deadline = system_clock().monotonic() + budget.limits.time_max;
    lua_sethook(state, count_instructions, LUA_MASKCOUNT, kHookEvery);
  }

  // Runs `body` where Lua may raise; it leaves nothing on the stack.
  template <typename Body>
  Result<void> protect(Body body) {
    refill();
    lua_settop(state, 0);
    lua_pushcfunction(state, [](lua_State* s) {
      (*static_cast<Body*>(lua_touserdata(s, 1)))(s);
      return 0;
    });
    lua_pushlightuserdata(state, &body);
    const int outcome = lua_pcall(state, 1, 0, 0);
    if (outcome == LUA_OK) return {};
    const char* text = lua_tostring(state, -1);
    Error error{ErrorCode::invalid, text ? text : "the script raised a value that is no text"};
    lua_settop(state, 0);
    if (budget.spent == Budget::Spent::time) return Error{ErrorCode::timeout, "the script takes too long"};
    if (outcome == LUA_ERRMEM) return Error{ErrorCode::too_large, "the script needs too much memory"};
    return error;
  }
};

LuaState::LuaState(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LuaState::LuaState(LuaState&&) noexcept = default;
LuaState& LuaState::operator=(LuaState&&) noexcept = default;
LuaState::~LuaState() = default;

Result<LuaState> LuaState::open(ScriptLimits limits) {
  auto impl = std::make_unique<Impl>();
  impl->budget.limits = limits;
  impl->state = lua_newstate(allocate, &impl->budget);
  if (!impl->state) return Error{ErrorCode::too_large, "no memory for a script"};
  TRY(impl->protect([](lua_State* state) { open_libraries(state); }));
  return LuaState(std::move(impl));
}

Result<void> LuaState::run(std::string_view source, std::string_view name) {
  const std::string chunk = "=" + std::string(name);
  return impl_->protect([&](lua_State* state) {
    if (luaL_loadbufferx(state, source.data(), source.size(), chunk.c_str(), "t") != LUA_OK) lua_error(state);
    lua_call(state, 0, 0);
  });
}

Result<std::vector<Value>> LuaState::call(const char* function, const std::vector<Value>& arguments, int count) {
  std::vector<Value> results;
  TRY(impl_->protect([&](lua_State* state) {
    lua_getglobal(state, function);
    for (const Value& argument : arguments) push(state, argument, 0);
    lua_call(state, static_cast<int>(arguments.size()), count);
    const int first = lua_gettop(state) - count + 1;
    for (int i = 0; i < count; ++i) results.push_back(value_at(state, first + i, document::kNull, 0));
  }));
  return results;
}

Result<Value> run_script(std::string_view source, std::string_view name, const Value& object, ScriptLimits limits) {
  LuaState state = TRY(LuaState::open(limits));
  const std::string chunk = "=" + std::string(name);
  Value out;
  TRY(state.impl_->protect([&](lua_State* lua) {
    push(lua, object, 0);
    lua_setglobal(lua, "obj");
    if (luaL_loadbufferx(lua, source.data(), source.size(), chunk.c_str(), "t") != LUA_OK) lua_error(lua);
    lua_call(lua, 0, 1);
    out = value_at(lua, lua_gettop(lua), object, 0);
  }));
  return out;
}

}  // namespace caisson::gitops
