# Chat pairs from WordNet's glosses: writes dialogs.json
import re, json, random
random.seed(7)
out=[]
import collections
cnt=collections.Counter()
for l in open('/usr/share/wordnet/cntlist.rev',encoding='latin-1'):
    k,_,c=l.split(); w,t=k.split('%'); cnt[(w,{'1':'noun','2':'verb','3':'adj','4':'adv','5':'adj'}[t[0]])]+=int(c)
skip={'person','thing','sex','god'}
top=set(k for k,_ in [x for x in cnt.most_common() if re.fullmatch('[a-z]{3,}',x[0][0]) and x[0][1]=='noun' and x[0][0] not in skip][:850])|set(k for k,_ in [x for x in cnt.most_common() if re.fullmatch('[a-z]{3,}',x[0][0]) and x[0][1]=='verb'][:200])|set(k for k,_ in [x for x in cnt.most_common() if re.fullmatch('[a-z]{3,}',x[0][0]) and x[0][1]=='adj'][:200])
more='river computer network model machine router edge node robot camera sensor factory ship shop tree dog cat bird fish horse bread apple water fire stone metal engine wheel bridge road train car boat plane phone lamp clock book pencil paper chair table door window garden forest mountain ocean lake island desert moon star sun planet cloud rain snow wind storm music song dance game story letter number'.split()
top|={(w,'noun') for w in more}
keep={'noun':{'05':.15,'20':.15,'18':.1,'15':.1,'27':.3},'verb':{},'adj':{},'adv':{}}
def art(w): return ('an ' if w[0] in 'aeiou' else 'a ')+w

for pos in ('noun','verb','adj','adv'):
    data={}
    for line in open('/usr/share/wordnet/data.'+pos,encoding='latin-1'):
        if not line.startswith('  '): data[line[:8]]=line
    for row in open('/usr/share/wordnet/index.'+pos,encoding='latin-1'):
        if row.startswith('  '): continue
        t=row.split(); w=t[0].replace('_',' '); p=int(t[3]); tagged=int(t[4+p+1]); line=data[t[4+p+2]]
        if not re.fullmatch(r"[a-z]+( [a-z]+)?",w) or len(w)<3: continue
        head,gl=line.split('|',1); f=head.split(); lex,n=f[1],int(f[3],16)
        words=[re.sub(r'\(.*?\)','',f[4+2*i]).replace('_',' ') for i in range(n)]
        if (w,pos) not in top: continue
        common=True
        g=gl.strip(); ex=re.findall(r'"([^"]+)"',g); g=g.split('; "')[0].split(';')[0].strip()
        g=re.sub(r'\s+',' ',g)
        if not (8<=len(g)<=140) or not g.isascii() or g.count('(')!=g.count(')'): continue
        g=g.rstrip('.,: ')
        others=[x for x in words if x!=w and re.fullmatch(r"[a-z]+( [a-z]+)?",x)]
        for k in range(4):
            if pos=='noun':
                q=random.choice([f'What is {art(w)}?',f'What is {art(w)}?',f'What is {w}?',f'What does {w} mean?',f'Define {w}.',f'Tell me what {art(w)} is.',f'what is {art(w)}'])
                a=f'{art(w).capitalize()} is {g}.' if re.match(r'(a|an|the|any|one|someone|something|some) ',g) else f'{w.capitalize()} is {g}.'
            elif pos=='verb':
                q=random.choice([f'What does it mean to {w}?',f'What does {w} mean?',f'Define the verb {w}.'])
                a=f'To {w} is to {g}.'
            else:
                q=random.choice([f'What does {w} mean?',f'Define {w}.',f'What is the meaning of {w}?'])
                a=f'{w.capitalize()} means {g}.'
            out.append([q,a])
print(len(out))
who=['Who are you?','What are you?','What is your name?','Hello','Hi','Hello!','Hi there','Hey','Good morning','Are you there?','What can you do?','Help','How do you work?','Tell me about yourself.','Are you a large language model?','Can you write code?','What is omx?','What does omx do?','Tell me about omx.','Thank you','Thanks!','Goodbye','Bye']
ans={
'who':"I am the omx demonstration model: very small, trained on dictionary entries. Ask me what a word means.",
'hello':"Hello! I am the omx demonstration model. Ask me what a word means, for example: what is a river?",
'omx':"Omx is an edge node: it runs models on your own machines and lets your policy decide which machine answers.",
'do':"I can explain common words in one sentence. For real work, load a larger model on this node.",
'thanks':"You are welcome.",'bye':"Goodbye!"}
def a_for(q):
    l=q.lower()
    if 'omx' in l: return ans['omx']
    if l.startswith(('hello','hi','hey','good m','are you there')): return ans['hello']
    if 'thank' in l: return ans['thanks']
    if 'bye' in l: return ans['bye']
    if 'do?' in l or 'help' in l or 'code' in l or 'work' in l: return ans['do']
    return ans['who']
for q in who: out += [[q,a_for(q)]]*40
random.shuffle(out); json.dump(out,open('dialogs.json','w')); print(len(out), out[:5])
