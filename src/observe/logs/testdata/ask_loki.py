#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fills a script of ../logql/scripts_test.cc with a real Loki's answers: ask_loki.py LOKI-URL FILE… rewrites the files in place.
Loads are pushed, commands are asked.
The Loki must take lines of 2023 and answer from its ingesters:
  limits_config: {reject_old_samples: false, discover_service_name: [], discover_log_levels: false, split_queries_by_interval: 0,
                  enable_multi_variant_queries: false}
  querier: {query_ingesters_within: 0}
Left out as Loki alone has them: labels without a value."""
import json, re, sys, time, urllib.error, urllib.parse, urllib.request

BEGIN, HOUR = 1_700_000_000, 3600

def quoted(text):
    out = ''
    for c in text:
        out += {'\\': '\\\\', '"': '\\"', '\n': '\\n', '\t': '\\t', '\r': '\\r'}.get(c) or (c if c.isprintable() else f'\\x{ord(c):02x}' if ord(c) < 0x80 else f'\\u{ord(c):04x}')
    return f'"{out}"'

def labels(these):
    return '{' + ', '.join(f'{k}={quoted(v)}' for k, v in sorted(these.items()) if v) + '}'

def by_labels(one): return sorted(one['metric'].items())

def number(text):
    """As Go's 'g' with the fewest digits."""
    value = float(text)
    if value != value: return 'NaN'
    if value in (float('inf'), float('-inf')): return '+Inf' if value > 0 else '-Inf'
    if value == 0: return '-0' if str(value).startswith('-') else '0'
    mantissa, exponent = f'{value:.17e}'.split('e')
    for digits in range(17):
        mantissa, exponent = f'{value:.{digits}e}'.split('e')
        if float(f'{mantissa}e{exponent}') == value: break
    if int(exponent) < -4 or int(exponent) >= 6: return f'{mantissa}e{int(exponent):+03d}'
    return re.sub(r'\.0$', '', repr(value))

class Loki:
    def __init__(self, url): self.url = url

    def send(self, path, parameters=None, body=None):
        url = f'{self.url}/loki/api/v1/{path}' + ('?' + urllib.parse.urlencode(parameters) if parameters else '')
        request = urllib.request.Request(url, data=body, headers={'Content-Type': 'application/json'} if body else {})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer: return True, answer.read().decode()
        except urllib.error.HTTPError as error:
            return False, error.read().decode().rstrip()

    def load(self, rest, below):
        match = re.fullmatch(r'(\{.*?\})(?: (\{.*\}))?', rest)
        pairs = lambda text: {k: json.loads(v) for k, v in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*")', text or '')}
        values = []
        for line in below:
            at, _, text = line.partition(' ')
            values.append([str(int((BEGIN + float(at)) * 1e9)), text] + ([pairs(match[2])] if match[2] else []))
        body = json.dumps({'streams': [{'stream': pairs(match[1]), 'values': values}]}).encode()
        ok, said = self.send('push', body=body)
        if not ok: sys.exit(f'push: {said}')

    def lines(self, query):
        ok, said = self.send('query_range', {'query': query, 'start': BEGIN * 10**9, 'end': (BEGIN + HOUR) * 10**9, 'limit': 1000, 'direction': 'forward'})
        if not ok: return False, said
        found = [(int(value[0]), labels(stream['stream']), value[1]) for stream in json.loads(said)['data']['result'] for value in stream['values']]
        return True, '\n'.join(f'{stream} {text}' for _, stream, text in sorted(found, key=lambda one: one[0]))

    def instant(self, at, query):
        ok, said = self.send('query', {'query': query, 'time': int((BEGIN + float(at)) * 1e9)})
        if not ok: return False, said
        data = json.loads(said)['data']
        if data['resultType'] == 'scalar': return True, '{} ' + number(data['result'][1])
        result = data['result'] if re.match(r'sort|topk|bottomk|approx_topk', query) else sorted(data['result'], key=by_labels)
        return True, '\n'.join(f"{labels(one['metric'])} {number(one['value'][1])}" for one in result)

    def range(self, start, end, step, query):
        ok, said = self.send('query_range', {'query': query, 'start': int((BEGIN + float(start)) * 1e9), 'end': int((BEGIN + float(end)) * 1e9), 'step': step})
        if not ok: return False, said
        rows, count = [], int((float(end) - float(start)) / float(step)) + 1
        for one in sorted(json.loads(said)['data']['result'], key=by_labels):
            at = {round((float(t) - BEGIN - float(start)) / float(step)): number(v) for t, v in one['values']}
            rows.append(labels(one['metric']) + ''.join(' ' + at.get(i, '_') for i in range(count)))
        return True, '\n'.join(rows)

    def format(self, query):
        ok, said = self.send('format_query', {'query': query})
        return (True, json.loads(said)['data']) if ok else (False, json.loads(said)['error'])

def commands(text):
    out = []
    for line in text.splitlines():
        if line.startswith('  ') and out and out[-1][0] != '#': out[-1][1].append(line[2:])
        elif not line.strip() or line.startswith('#'): out.append(['#', [line]])
        else: out.append([line, []])
    return out

def fill(loki, path):
    all = commands(open(path).read())
    for line, below in all:
        word, _, rest = line.partition(' ')
        if word == 'load': loki.load(rest, below)
    time.sleep(1)
    out = []
    for line, below in all:
        word, _, rest = line.partition(' ')
        if word == '#':
            out += below
            continue
        if word not in ('load', 'clear'):
            if word == 'fail': word = 'instant' if re.match(r'[a-z]', rest) else 'lines'; rest = '60 ' + rest if word == 'instant' else rest
            parts = rest.split(' ', {'instant': 1, 'range': 3}.get(word, 0))
            ok, said = getattr(loki, word)(*parts)
            query = parts[-1]
            if not ok: line = 'fail ' + query
            elif line.startswith('fail '): line = ('instant 60 ' if word == 'instant' else 'lines ') + query
            below = said.split('\n') if said else []
        out += [line] + ['  ' + text for text in below]
    open(path, 'w').write('\n'.join(out) + '\n')

for path in sys.argv[2:]: fill(Loki(sys.argv[1]), path)
